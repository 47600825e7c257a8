"""The manifest of a bundle, ``bundle.yaml``."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from node.config.settings import SequenceMatch
from node.domain.code import Code
from node.domain.errors import Problem, SetupFault
from node.domain.spelling import without_spelling
from node.registry.sequences import SEQUENCES


def _is_plain(text: str) -> str:
    lost = "".join(dict.fromkeys(without_spelling(text)))
    if lost:
        raise ValueError(
            f"{lost[:20]!r} cannot be written in every DICOM object: write it in English "
            "(node/language translates what people read)"
        )
    return text


Plain = Annotated[str, AfterValidator(_is_plain)]
"""What stands in results, whose character set is that of their images."""
Named = Annotated[Plain, Field(min_length=1, pattern=r"\S")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeEntry(_Frozen):
    """A coded concept."""

    value: Named
    scheme: Named = Field(max_length=16)
    meaning: Named = Field(max_length=64)

    def code(self) -> Code:
        """Return it as the domain's type."""
        return Code(value=self.value, scheme=self.scheme, meaning=self.meaning)


class Accepts(_Frozen):
    """Series that the bundle was made for; body parts are those that headers may name."""

    modality: tuple[str, ...]
    body_part: tuple[str, ...]
    body_part_optional: bool = True
    maximum_spacing_mm: float = 3.0
    minimum_extent_mm: float = 100.0


class RoleEntry(_Frozen):
    """One of the series that a bundle needs, and how it is told from the others.

    ``match`` holds alternatives in the order of preference; empty means those that the node knows
    for a sequence of this name (``node.registry.sequences``).
    """

    name: Plain
    match: tuple[SequenceMatch, ...] = ()

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if not self.match and self.name not in SEQUENCES:
            raise ValueError(f"role {self.name!r} needs 'match': the node knows {list(SEQUENCES)}")
        return self

    @property
    def alternatives(self) -> tuple[SequenceMatch, ...]:
        """What tells the series of this role, in the order of preference."""
        return self.match or SEQUENCES[self.name]


class ClassifierEntry(_Frozen):
    """How the classifier's output is read; without ``types`` it tells malignancy only."""

    profile: str
    bin_width: float
    spacing_mm: float
    foreground_fraction: float = 0.0
    normalisation: Literal["tissue", "none"] = "tissue"
    slice_spacing_mm: float | None = None
    abstain_low: float
    abstain_high: float
    novelty_limit: float
    types: tuple[Named, ...] = ()


class MemoryEntry(_Frozen):
    """What a worker needs at most: ``floor_mb``, and ``factor`` times the bytes of the volume.

    The volume is that of all roles, at four bytes a voxel.
    """

    factor: float = Field(2, ge=0)
    floor_mb: int = Field(1500, ge=0)


class Manifest(_Frozen):
    """``bundle.yaml``; ``files`` holds the SHA-256 of everything else in the folder.

    Of ``kind`` "slices" the network sees whole slices of all roles, of "nodule" the surroundings
    of a point. The first of ``roles`` is the reference: the others are resampled to its grid, and
    SEG and SR speak of its series; no roles mean one series that the routing rule chooses. A
    bundle without ``classifier`` outlines lesions and says nothing of their nature. Without
    ``memory`` a bundle is taken to need what the shipped ones of its kind do.
    """

    name: Plain
    version: Plain
    title: str
    manufacturer: Plain
    licence: str
    data: str
    limitations: Plain
    kind: Literal["slices", "nodule"] = "slices"
    roles: tuple[RoleEntry, ...] = ()
    segmenter_name: Plain
    classifier_name: Plain = ""
    anatomic_region: CodeEntry
    finding_type: CodeEntry
    accepts: Accepts
    input: dict[str, float | int]
    lesions: dict[str, float]
    classifier: ClassifierEntry | None = None
    memory: MemoryEntry | None = None
    made_with: dict[str, str]
    files: dict[str, str]

    @property
    def memory_needed(self) -> MemoryEntry:
        """What a worker needs for it."""
        return self.memory or MEASURED[self.kind]


MEASURED = {
    "slices": MemoryEntry(),
    "nodule": MemoryEntry(factor=2, floor_mb=1300),
}
"""Kind of bundle -> peak memory of a worker; how it was measured: models/README.md."""


def read_manifest(path: Path) -> Manifest:
    """Read and check ``bundle.yaml``.

    Raises
    ------
    SetupFault
        If it is missing or wrong; every fault is named.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text())
        return Manifest.model_validate(raw)
    except (OSError, yaml.YAMLError) as fault:
        raise SetupFault(f"manifest {path} cannot be read: {fault}") from fault
    except ValidationError as fault:
        problems = [
            Problem(
                code="manifest-key",
                found=str(error["msg"]),
                expected="the keys documented in models/README.md",
                remedy="package the bundle again",
                tag=f"{path.name}:{'.'.join(str(part) for part in error['loc'])}",
            )
            for error in fault.errors()
        ]
        raise SetupFault("\n".join(str(problem) for problem in problems)) from fault
