"""The settings of augmentation: probability and strength of every transform."""

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Chance(_Frozen):
    """How often a transform is applied, and how strongly.

    Parameters
    ----------
    probability : float
        Share of the samples that it is applied to.
    strength : float
        What it means stands with each transform's function.
    """

    probability: float = Field(ge=0, le=1)
    strength: float = Field(ge=0)


class AugmentRecipe(_Frozen):
    """What is drawn for each sample of training.

    Intensities are normalised: one unit is one standard deviation of the tissue.

    Parameters
    ----------
    crop : int
        Rows and columns of a sample.
    lesion_share : float
        Share of the windows that are centred near the lesion; the others lie anywhere. With 0, and
        ``spread`` 0, every window is centred on the middle of the image, as patches round a given
        point need it.
    jitter : float
        Largest distance of the window's centre from the lesion's, in windows.
    pull : float
        Largest share of the way from there to the middle of the image.
    spread : float
        Of windows that lie anywhere: share of the image over which their centres are spread.
    angle_deg : float
        Standard deviation of the rotation.
    scale : float
        Largest logarithm of the enlargement or shrinking.
    flip_left_right, flip_up_down : float
        Probabilities.
    elastic, gamma, contrast, shift, bias_field, blur, sharpen, noise, low_resolution : Chance
    rician_share : float
        Share of the noise that is Rician (magnitude MR); 0 for CT.
    missing_channel : float
        Probability that one channel is replaced by another or by background.
    kept_channel : int or None
        The channel that is never replaced.
    intensity_channels : int or None
        How many leading channels hold intensities; the others (e.g. a distance to the given point)
        take part in the geometry alone. None for all.
    """

    crop: int = Field(192, ge=8)
    lesion_share: float = Field(0.75, ge=0, le=1)
    jitter: float = Field(0.4, ge=0)
    pull: float = Field(0.6, ge=0, le=1)
    spread: float = Field(0.6, ge=0)
    angle_deg: float = Field(12.0, ge=0)
    scale: float = Field(0.3, ge=0)
    flip_left_right: float = Field(0.5, ge=0, le=1)
    flip_up_down: float = Field(0.1, ge=0, le=1)
    elastic: Chance = Chance(probability=0.3, strength=6.0)
    gamma: Chance = Chance(probability=0.5, strength=0.25)
    contrast: Chance = Chance(probability=0.5, strength=0.22)
    shift: Chance = Chance(probability=0.5, strength=0.2)
    bias_field: Chance = Chance(probability=0.3, strength=0.15)
    blur: Chance = Chance(probability=0.15, strength=1.4)
    sharpen: Chance = Chance(probability=0.07, strength=0.6)
    noise: Chance = Chance(probability=0.3, strength=0.4)
    rician_share: float = Field(0.5, ge=0, le=1)
    low_resolution: Chance = Chance(probability=0.15, strength=2.5)
    missing_channel: float = Field(0.0, ge=0, le=1)
    kept_channel: int | None = None
    intensity_channels: int | None = Field(None, ge=1)
