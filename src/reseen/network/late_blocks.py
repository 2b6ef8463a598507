"""Blocks 11 to 15 of lite0 in PyTorch: equal to the ONNX network's until they are trained."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reseen.models import lite0

TINY = 1e-6
"""Added below the root of block 14: its slope at zero would have no bound."""

LAYERS = {"expand": "bn0", "depthwise": "bn1", "project": "bn2"}
"""The convolutions of a block, and the batch normalisations after them."""


class LateBlocks(nn.Module):
    """lite0's descriptor from block 10's map.

    Batch normalisations are folded into the convolutions, so that a few pictures do not move them.
    """

    def __init__(self, state: lite0.State) -> None:
        super().__init__()
        numbers = range(lite0.MAP_BLOCK + 1, lite0.BLOCKS)
        self.blocks = nn.ModuleDict({str(number): _Block(state, number) for number in numbers})

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, 112, 16, 8) -> descriptors (N, 3712)."""
        at = maps.contiguous(memory_format=torch.channels_last)  # two thirds of the time
        parts = [_rows(at, lite0.MAP_BLOCK)]
        for number, block in self.blocks.items():
            at = block(at)
            if int(number) in lite0.EMBEDDED:
                parts.append(_rows(at, int(number)))
        return functional.normalize(torch.cat(parts, 1))

    def state_of_lite0(self) -> lite0.State:
        """The weights by the package's names, with batch normalisations that change nothing."""
        state: dict[str, NDArray[np.float32]] = {}
        for number, block in self.blocks.items():
            for layer, norm in LAYERS.items():
                convolution, norm = getattr(block, layer), f"_blocks.{number}._{norm}"
                bias = convolution.bias.detach().numpy()
                state |= {
                    f"_blocks.{number}._{layer}_conv.weight": convolution.weight.detach().numpy(),
                    f"{norm}.bias": bias,
                    f"{norm}.weight": np.ones_like(bias),
                    f"{norm}.running_mean": np.zeros_like(bias),
                    f"{norm}.running_var": np.full_like(bias, 1 - lite0.BATCH_NORM_EPSILON),
                }
        return state


class _Block(nn.Module):
    """An inverted residual: widened, filtered within each channel, narrowed, added."""

    def __init__(self, state: lite0.State, number: int) -> None:
        super().__init__()
        name, stride = f"_blocks.{number}._", 2 if number in lite0.HALVING else 1
        self.expand, self.depthwise, self.project = (
            _convolution(
                *lite0.folded(state, f"{name}{layer}_conv", name + norm),
                stride if layer == "depthwise" else 1,
            )
            for layer, norm in LAYERS.items()
        )
        over = self.depthwise.kernel_size[0] - stride  # as SAME_UPPER pads an even size
        self.padding = (over // 2, over - over // 2) * 2

    def forward(self, start: Tensor) -> Tensor:
        at = functional.relu6(self.expand(start))
        at = functional.relu6(self.depthwise(functional.pad(at, self.padding)))
        at = torch.as_tensor(self.project(at))
        return at + start if at.shape == start.shape else at


def _convolution(
    kernel: NDArray[np.float32], bias: NDArray[np.float32], stride: int = 1
) -> nn.Conv2d:
    """A convolution; within each channel where its kernel looks at one only."""
    made, inputs, size, _ = kernel.shape
    groups = made if inputs == 1 else 1
    convolution = nn.Conv2d(inputs * groups, made, size, stride, groups=groups)
    convolution.weight = nn.Parameter(torch.from_numpy(kernel).clone())
    convolution.bias = nn.Parameter(torch.from_numpy(bias).clone())
    return convolution


def _rows(maps: Tensor, block: int) -> Tensor:
    """A map (N, C, H, W) as its rows' means, each of length 1, and joined so too: (N, C·rows)."""
    count, channels, height, _ = maps.shape
    rows = lite0.EMBEDDED[block][1]
    at = maps.reshape(count, channels, rows, height // rows, -1).mean((3, 4))
    if block == lite0.ROOTED:
        at = at / (at.abs() + TINY).sqrt()
    return functional.normalize(functional.normalize(at).flatten(1))
