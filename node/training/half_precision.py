"""Store the weights of a Keras file in half precision: half the size, and exact to 0.0005."""

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def halve_weights(path: Path) -> None:
    """Rewrite a ``.keras`` file in place; Keras makes float32 of its weights again on loading.

    Parameters
    ----------
    path : Path
        A zip archive with the weights as HDF5, as ``keras.Model.save`` writes it.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    scratch = path.with_suffix(".tmp.keras")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)  # of a fixed date: the same weights, the same file
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, _halve(content) if name.endswith(".h5") else content)
    scratch.replace(path)


def _halve(content: bytes) -> bytes:
    out = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(out, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name: str, entry: Any) -> None:
            if isinstance(entry, h5py.Group):
                made = target.require_group(name)
            else:
                values = entry[()]
                single = entry.dtype == np.float32
                made = target.create_dataset(
                    name, data=values.astype(np.float16) if single else values
                )
            made.attrs.update(entry.attrs)

        source.visititems(copy)
    return out.getvalue()
