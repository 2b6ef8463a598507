"""The spatial-temporal fusion network: equations (1)-(6) and (10) of Chen et al. 2017."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reseen.data.clips import BodyPart
from reseen.data.coding import FRAME_SHAPE
from reseen.errors import ReseenError
from reseen.network.config import NetworkConfig

FEATURE = 128
"""N of section 2.4, the length of every feature."""

CHANNELS = 5
"""Luma, two colour differences, vertical and horizontal flow."""

FILTERS = (16, 32, 32)
FLATTENED = 32 * 10 * 8
"""Numbers per frame after the third block, for a 56×40 crop."""


class Features(NamedTuple):
    """The three features of each clip, (B, 128) each."""

    spatial: Tensor
    temporal: Tensor
    fused: Tensor


class DropoutMasks(NamedTuple):
    """What dropout keeps, already divided by the share kept.

    They are drawn outside the network, so that a step depends on its number and seed alone:
    not on earlier steps, on how many processes share it or on how many networks train at once.

    Attributes:
        flattened: (B, T, C), for the trunk's output; C is 2560 for the paper's CNN.
        recurrent: (B, T, 128), for r(t-1); None where the recurrence has no dropout.
    """

    flattened: Tensor
    recurrent: Tensor | None


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
        if maps.requires_grad:  # channels come first in what flattening hands back: slow to pool
            maps.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        return maps.reshape(batch, frames, FLATTENED)


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


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


class SpatialTemporalFusion(nn.Module):
    """Clips in, their spatial, temporal and fused features out: a trunk and the paper's head.

    Args:
        config: settings of the network.
        frame_shape: of a stored frame; decides about the trunk.
    """

    def __init__(
        self, config: NetworkConfig | None = None, frame_shape: tuple[int, ...] = FRAME_SHAPE
    ) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        self.trunk = make_trunk(self.config, frame_shape)
        width = self.trunk.width
        self.projection = nn.Linear(width, FEATURE)
        self.separate_projection = (
            nn.Linear(width, FEATURE) if self.config.recurrent_input == "separate" else None
        )
        self.recurrence = nn.RNN(
            FEATURE, FEATURE, nonlinearity=self.config.activation, batch_first=True
        )
        if self.config.recurrent_input != "own":
            self._start_as_identity(learned=self.config.recurrent_input == "identity-first")
        self.start = nn.Parameter(torch.zeros(FEATURE), requires_grad=self.config.learned_start)

    def forward(self, clips: Tensor, masks: DropoutMasks | None = None) -> Features:
        """Compute all three features in one pass.

        Args:
            clips: (B, T, 5, 56, 40), normalised, or (B, T, D) as stored.
            masks: dropout for a training step; None switches it off.

        Returns:
            x_C, x_R and x_F, (B, 128) each.
        """
        return self.fuse(self.trunk(clips), masks)

    def fuse(self, flattened: Tensor, masks: DropoutMasks | None = None) -> Features:
        """The head: all three features from what the trunk makes of clips, (B, T, 2560 or D)."""
        if masks is not None:
            flattened = flattened * masks.flattened
        f = self.projection(flattened)  # (B, T, 128), eq. (1)
        i = f if self.separate_projection is None else self.separate_projection(flattened)
        o = self.outputs(i, masks.recurrent if masks is not None else None)  # (B, T, 128)
        x_c = f.mean(dim=1)  # (B, 128), eq. (2)
        x_r = o.mean(dim=1)  # (B, 128), eq. (5)
        return Features(x_c, x_r, x_c + x_r)  # eq. (6)

    @torch.no_grad()
    def start_from(self, projection: Tensor, centre: Tensor) -> None:
        """Begin as the mean of projected vectors: f(x) = W (x - centre), W_i = 1, W_s = 0.

        The fused feature, eq. (6), is then twice the mean of f(t) over the clip.

        Args:
            projection: W, (K, C), K at most 128, what LDA has learned on the trunk's vectors; C
                is the trunk's width. Numbers of the feature after the K-th begin as zero.
            centre: (C,), which becomes the origin: angles between features depend on it.
        """
        rows = len(projection)
        if projection.shape != (rows, self.trunk.width) or rows > FEATURE:
            raise ReseenError(
                f"a projection of shape {tuple(projection.shape)} cannot start a network over "
                f"vectors of {self.trunk.width} numbers with features of {FEATURE}"
            )
        for linear in (self.projection, self.separate_projection):
            if linear is not None:
                nn.init.zeros_(linear.weight)[:rows] = projection
                nn.init.zeros_(linear.bias)[:rows] = -projection @ centre
        w_i, w_s, bias_i, bias_s = self.recurrence.all_weights[0]
        nn.init.eye_(w_i)
        for value in (w_s, bias_i, bias_s):
            nn.init.zeros_(value)

    def outputs(self, i: Tensor, mask: Tensor | None = None) -> Tensor:
        """o(t) of eq. (3) for all t: (B, T, 128) -> (B, T, 128).

        Without dropout inside it, the recurrence of r is exactly `nn.RNN`'s, which runs fused;
        every o(t) then follows from one product with the r shifted by one step.
        """
        start = self.start.expand(i.shape[0], 1, FEATURE)  # r(0)
        if mask is not None:
            return self._outputs_step_by_step(i, start[:, 0], mask)
        r, _ = self.recurrence(i, start.transpose(0, 1).contiguous())  # (B, T, 128), eq. (4)
        return self._output(i, torch.cat((start, r[:, :-1]), dim=1))

    def _outputs_step_by_step(self, i: Tensor, r: Tensor, mask: Tensor) -> Tensor:
        outputs = []
        for t in range(i.shape[1]):
            outputs.append(self._output(i[:, t], r * mask[:, t]))
            r = self.activation(outputs[-1])  # eq. (4)
        return torch.stack(outputs, dim=1)

    def _output(self, i: Tensor, r: Tensor) -> Tensor:
        """W_i f(t) + W_s r(t-1) with their biases, eq. (3)."""
        w_i, w_s, bias_i, bias_s = self.recurrence.all_weights[0]
        return functional.linear(i, w_i, bias_i) + functional.linear(r, w_s, bias_s)

    def activation(self, values: Tensor) -> Tensor:
        """ReLU in the paper, tanh in the baseline; any shape."""
        return torch.relu(values) if self.config.activation == "relu" else torch.tanh(values)

    def _start_as_identity(self, learned: bool) -> None:
        """Make W_i the identity: to begin with, or for good."""
        w_i, _, bias_i, _ = self.recurrence.all_weights[0]
        nn.init.eye_(w_i).requires_grad_(learned)
        nn.init.zeros_(bias_i).requires_grad_(learned)


class PartFusion(nn.Module):
    """Eq. (10): the body parts' features, weighted by three learned numbers.

    The weights are a softmax, so they are positive and sum to one: a common factor would change
    no ranking.
    """

    PARTS: tuple[BodyPart, ...] = ("full", "upper", "lower")

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(len(self.PARTS)))

    @property
    def weights(self) -> Tensor:
        """W_g, W_u and W_l, (3,)."""
        return self.logits.softmax(dim=0)

    def forward(self, parts: Tensor) -> Tensor:
        """x_final = W_g x_global + W_u x_upper + W_l x_lower: (3, B, 128) -> (B, 128)."""
        return torch.einsum("p,pbd->bd", self.weights, parts)
