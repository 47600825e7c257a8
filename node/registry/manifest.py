"""The manifest of a bundle, ``bundle.yaml``."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.domain.code import Code
from node.domain.errors import Problem, SetupFault


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeEntry(_Frozen):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str = Field(max_length=64)

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


class ClassifierEntry(_Frozen):
    """How the classifier's output is read."""

    profile: str
    bin_width: float
    spacing_mm: float
    foreground_fraction: float
    abstain_low: float
    abstain_high: float
    novelty_limit: float
    types: tuple[str, ...]


class Manifest(_Frozen):
    """``bundle.yaml``; ``files`` holds the SHA-256 of everything else in the folder."""

    name: str
    version: str
    title: str
    manufacturer: str
    licence: str
    data: str
    limitations: str
    segmenter_name: str
    classifier_name: str
    anatomic_region: CodeEntry
    finding_type: CodeEntry
    accepts: Accepts
    input: dict[str, float | int]
    lesions: dict[str, float]
    classifier: ClassifierEntry
    made_with: dict[str, str]
    files: dict[str, str]


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
