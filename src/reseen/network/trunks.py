"""What turns each crop of a clip into one vector: the paper's CNN, or what a store holds."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from reseen.network.config import NetworkConfig

CHANNELS = 5
"""Luma, two colour differences, vertical and horizontal flow."""

FILTERS = (16, 32, 32)
FLATTENED = 32 * 10 * 8
"""Numbers per frame after the third block, for a 56×40 crop."""


class PaperCnn(nn.Module):
    """C of eq. (1) up to its projection: three blocks ReLU(Maxpool(Conv(s))), section 2.2."""

    width = FLATTENED

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = torch.relu if activation == "relu" else torch.tanh
        widths = (CHANNELS, *FILTERS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=5, padding=4)
            for before, after in zip(widths, FILTERS, strict=False)
        )

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 5, 56, 40) -> (B, T, 2560)."""
        batch, frames = clips.shape[:2]
        maps = clips.flatten(0, 1)  # (B·T, 5, 56, 40)
        for convolution in self.convolutions:  # 16×30×22, 32×17×13, 32×10×8
            maps = self.activation(functional.max_pool2d(convolution(maps), 2))
        return maps.reshape(batch, frames, FLATTENED)


class Stored(nn.Module):
    """A frozen trunk, run once for each crop by `prepare`: what the store holds is its output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return clips


def make_trunk(config: NetworkConfig, frame_shape: tuple[int, ...]) -> PaperCnn | Stored:
    """The trunk for stored frames of a shape: pictures (5, 64, 48) or vectors (A, D)."""
    return PaperCnn(config.activation) if len(frame_shape) == 3 else Stored(frame_shape[-1])
