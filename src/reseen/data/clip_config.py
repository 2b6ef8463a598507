"""Settings of clips, apart from what works on them, which loads torch."""

from dataclasses import dataclass
from typing import Literal

from reseen.errors import ReseenError


@dataclass(frozen=True)
class ClipConfig:
    """How clips are cut out of tracklets and normalised (sections 2.1 and 3.2)."""

    frames: int = 16
    """T, the number of consecutive frames of a clip."""

    start: Literal["chunk", "random"] = "chunk"
    """Where a training clip may start: at a multiple of T (paper) or anywhere (baseline)."""

    normalise: Literal["root", "unit"] = "root"
    """Divide each channel of a frame by the root of its standard deviation, or by all of it."""

    flow: bool = True
    """Feed the two channels of optical flow; zeros otherwise."""

    flow_unit: float = 255.0
    """Pixels per frame that count as 1 before flow is normalised; 8-bit pictures make it 255."""

    negate_mirrored_flow: bool = True
    """Turn the sign of the horizontal flow when a clip is mirrored; the baseline does not."""

    def __post_init__(self) -> None:
        require_positive("clips.frames", self.frames)
        require_positive("clips.flow_unit", self.flow_unit)


def require_positive(name: str, value: float) -> None:
    """Refuse a setting that is not above 0."""
    if not 0 < value < float("inf"):
        raise ReseenError(f"{name} must be above 0, not {value}")
