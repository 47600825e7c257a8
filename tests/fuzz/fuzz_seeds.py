"""What is damaged: real requests, messages, images and objects that point at lesions."""

import atexit
import shutil
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from factories_images import write_enhanced
from factories_nodules import CENTRE, ball, ct_of
from factories_pointing import disc_contours, write_rtstruct, write_seg, write_sr
from factories_receive import ROOT, encode, make_ct
from fuzz_pieces import Changes, Pieces, cut, damage, encode_dataset
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    P_DATA,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)

from node.assemble.folder import scan_folder
from node.assemble.validate import check_series
from node.domain.study import Series, Study
from node.emulate.ct_series import write_ct_series
from node.receive.file_meta import PREAMBLE

SHAPE = (3, 16, 16)


@dataclass(frozen=True)
class Seed:
    """A file: its meta information and its data set, in pieces."""

    name: str
    meta: Pieces
    body: Pieces


@dataclass(frozen=True)
class SeedStudy:
    """A study on disk, its checked series, and its files as seeds."""

    folder: Path
    study: Study
    series: Series
    images: tuple[Seed, ...]
    pointing: tuple[Seed, ...]
    enhanced: Seed


@cache
def seed_study() -> SeedStudy:
    """Write the study once in a process."""
    folder = Path(mkdtemp(prefix="onconode-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    images, others, packed = folder / "ct", folder / "pointing", folder / "enhanced"
    volume, mask = ct_of(ball(4.0), shape=SHAPE)
    write_ct_series(volume, images, name="fuzz")
    mask[1, 8, 8] = True
    write_seg(images, {"Nodule 1": mask})
    write_rtstruct(images, {"GTV-1": disc_contours(volume, CENTRE, 6.0) or [_triangle()]})
    write_sr(images, {"Nodule 1": ("CIRCLE", np.array([[8.0, 8.0], [10.0, 8.0]]))})
    others.mkdir()
    for path in [*images.glob("seg*"), images / "rtstruct.dcm", images / "sr.dcm"]:
        path.rename(others / path.name)
    enhanced = write_enhanced(sorted(images.iterdir()), packed)
    (study,) = scan_folder(images).studies
    series = check_series(study.series[0], minimum_slices=1)
    return SeedStudy(
        folder=folder,
        study=study,
        series=series,
        images=tuple(seed_of(path) for path in sorted(images.iterdir())),
        pointing=tuple(seed_of(path) for path in sorted(others.iterdir())),
        enhanced=seed_of(enhanced),
    )


def _triangle() -> np.ndarray:
    return np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0]]) + CENTRE


def seed_of(path: Path) -> Seed:
    """Cut a file into pieces."""
    dataset = dcmread(path)
    name = f"{path.parent.name}/{path.name.partition('-')[0].removesuffix('.dcm')}"
    meta = Dataset()
    meta.update(dataset.file_meta)
    return Seed(name, cut(encode_dataset(meta)), cut(encode_dataset(dataset)))


def write_damaged(path: Path, seed: Seed, changes: Changes) -> Path:
    """Write a file; every fourth case has damage in its meta information, too."""
    of_meta = [change for change in changes if change.what % 4 == 0][:1]
    path.write_bytes(PREAMBLE + damage(seed.meta, of_meta) + damage(seed.body, changes))
    return path


@cache
def association_request() -> bytes:
    """An A-ASSOCIATE-RQ as pynetdicom sends it, with roles and an identity."""
    ae = AE()
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context("1.2.840.10008.1.1", [ExplicitVRLittleEndian])
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = "FUZZ", "ONCONODE"
    contexts = ae.requested_contexts
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3.4"
    role, identity = SCP_SCU_RoleSelectionNegotiation(), UserIdentityNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CTImageStorage, True, False
    identity.user_identity_type, identity.primary_field = 1, b"user"
    request.user_information = [length, implementation, role, identity]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


@cache
def store_messages() -> tuple[bytes, ...]:
    """P-DATA-TF PDUs of two C-STOREs: a command and fragments of a data set each."""
    pdus = []
    for number in (1, 2):
        command = _command(number)
        data = encode(make_ct(number))
        third = len(data) // 3
        first, second, last = data[:third], data[third : 2 * third], data[2 * third :]
        fragments = [b"\3" + command, b"\0" + first, b"\0" + second, b"\2" + last]
        pdus += [_p_data(fragment) for fragment in fragments]
    return tuple(pdus)


def _command(number: int) -> bytes:
    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, tag, len(value)) + value

    def uid(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) % 2)

    body = b"".join(
        (
            element(0x0002, uid(CTImageStorage)),
            element(0x0100, b"\1\0"),
            element(0x0110, bytes((number, 0))),
            element(0x0700, b"\0\0"),
            element(0x0800, b"\1\0"),
            element(0x1000, uid(f"{ROOT}.3.{number}")),
        )
    )
    return element(0, struct.pack("<L", len(body))) + body


@cache
def commands() -> tuple[bytes, ...]:
    """Command sets of the two C-STOREs."""
    return tuple(_command(number) for number in (1, 2))


def _p_data(fragment: bytes) -> bytes:
    primitive = P_DATA()
    primitive.presentation_data_value_list.append((1, fragment))
    pdu = P_DATA_TF()
    pdu.from_primitive(primitive)
    return pdu.encode()
