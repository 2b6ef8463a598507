"""Equations (7)-(9) of Chen et al. 2017, and what a training step differentiates.

A network, its classifier and the loss are a `Learner`; many of them are computed as one stack.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
import torch.distributed.nn.functional as processes
from torch import Tensor, distributed, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional

from reseen.data.coding import FRAME_SHAPE
from reseen.network.config import Config, LossConfig, NetworkConfig
from reseen.network.model import FEATURE, DropoutMasks, SpatialTemporalFusion


class LossTerms(NamedTuple):
    """The terms of eq. (9), scalars, as of one pair: means over those of a step."""

    siamese: Tensor
    softmax: Tensor
    total: Tensor


def literal_siamese(difference: Tensor, same: Tensor, margin: float) -> Tensor:
    """Eq. (7) as printed, with the squared distance inside the margin as well.

    Args:
        difference: x_i - x_j, (B, D).
        same: whether both clips show one person, (B,) bool.
        margin: alpha; different people are pushed apart up to a distance of sqrt(alpha).

    Returns:
        (B,).
    """
    squared = difference.square().sum(dim=-1)
    return torch.where(same, squared / 2, (margin - squared).clamp(min=0).square() / 2)


def hadsell_siamese(difference: Tensor, same: Tensor, margin: float) -> Tensor:
    """Hadsell et al. 2006: eq. (7) with the distance itself inside the margin.

    Same shapes as `literal_siamese`.
    """
    distance = torch.linalg.vector_norm(difference, dim=-1)  # its gradient at zero is zero
    return torch.where(same, distance.square() / 2, (margin - distance).clamp(min=0).square() / 2)


def hinge_siamese(difference: Tensor, same: Tensor, margin: float) -> Tensor:
    """The baseline's loss: the distance itself, or a hinge on it.

    Same shapes as `literal_siamese`.
    """
    distance = torch.linalg.vector_norm(difference, dim=-1)
    return torch.where(same, distance, (margin - distance).clamp(min=0))


SIAMESE: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "literal": literal_siamese,
    "hadsell": hadsell_siamese,
    "hinge": hinge_siamese,
}


def pair_loss(features: Tensor, scores: Tensor, labels: Tensor, config: LossConfig) -> LossTerms:
    """Eq. (9), the mean over the pairs of a step.

    Args:
        features: of all first clips, then of all second clips of B pairs, (2·B, D).
        scores: W x of eq. (8), from one shared classifier, (2·B, P).
        labels: 0-based training labels, (2·B,) int64.
        config: reading of eq. (7), alpha and the weights.
    """
    first, second = features.chunk(2)
    first_labels, second_labels = labels.chunk(2)
    same = first_labels == second_labels
    siamese = SIAMESE[config.siamese](first - second, same, config.margin).mean()
    return _terms(siamese, scores, labels, config)


def all_pairs_loss(
    features: Tensor, scores: Tensor, labels: Tensor, config: LossConfig
) -> LossTerms:
    """Eq. (9) with eq. (7) over every pair of a step's clips, and eq. (8) once for each clip.

    Positive and negative pairs count the same in total, however many there are of each: section
    2.6 asks for as many of one as of the other. Negatives are all there are, or, for each clip, the
    nearest clip of anybody else alone (Hermans et al. 2017, section 2, batch hard).

    Args:
        features: of all clips, (N, D).
        scores: of all clips, (N, people).
        labels: who they show, (N,).
        config: which losses, and how they are weighted.
    """
    same = labels[:, None] == labels
    losses = SIAMESE[config.siamese](features[:, None] - features, same, config.margin)  # (N, N)
    positive = (losses * same).sum() / (same.sum() - len(labels))  # a clip is at 0 from itself
    negatives = losses * ~same
    if config.negatives == "hardest":
        negative = negatives.amax(dim=1).mean()  # each loss falls with the distance
    else:
        negative = negatives.sum() / (~same).sum()
    return _terms((positive + negative) / 2, scores, labels, config)


def _terms(siamese: Tensor, scores: Tensor, labels: Tensor, config: LossConfig) -> LossTerms:
    softmax = 2 * functional.cross_entropy(scores, labels)  # eq. (8), of both clips of a pair
    total = config.siamese_weight * siamese + config.softmax_weight * softmax
    return LossTerms(siamese, softmax, total)


class Learner(nn.Module):
    """A network, the classifier that both clips of a pair share, and the loss of eq. (9).

    Args:
        config: settings of the training.
        people: P, the number of people it is trained on.
        seed: the initial weights follow from it.
        frame_shape: of the store's frames.
    """

    def __init__(
        self, config: Config, people: int, seed: int, frame_shape: tuple[int, ...] = FRAME_SHAPE
    ) -> None:
        super().__init__()
        self.loss = config.loss
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = SpatialTemporalFusion(config.network, frame_shape)
            self.classifier = nn.Linear(FEATURE, people)
        self._fix_unused()

    def forward(self, clips: Tensor, labels: Tensor, masks: DropoutMasks | None) -> LossTerms:
        """The loss of a step.

        Args:
            clips: all first clips, then all second clips of the pairs, (2·B, T, 5, 56, 40); in a
                step whose clips all pair with each other, these N clips. (…, T, D) as stored.
            labels: 0-based training labels, (2, B) int64; (1, N) where all clips pair.
            masks: dropout, for as many clips.
        """
        features = getattr(self.network(clips, masks), self.loss.feature)
        if len(labels) == 2:
            return pair_loss(features, self.classifier(features), labels.flatten(), self.loss)
        features, labels = of_all_processes(features), of_all_processes(labels[0])
        return all_pairs_loss(features, self.classifier(features), labels, self.loss)

    def _fix_unused(self) -> None:
        """Fix what the loss does not depend on: several processes wait for every gradient."""
        network, unused = self.network, list[nn.Module | Tensor | None]()
        if self.loss.feature == "spatial":
            unused = [network.recurrence, network.separate_projection, network.start]
        elif self.loss.feature == "temporal" and network.separate_projection is not None:
            unused = [network.projection]
        for part in unused:
            if part is not None:
                part.requires_grad_(False)


def of_all_processes(values: Tensor) -> Tensor:
    """The values (n, ...) of every process that shares the step, one after the other.

    Gradients find their way back. Each process then has the whole step's loss, and the mean of
    their gradients, which they take anyway, is its gradient.
    """
    if not distributed.is_initialized():
        return values
    return torch.cat(processes.all_gather(values))  # type: ignore[no-untyped-call]


class LearnerStack(nn.Module):
    """Several learners of one shape as one module: parameters stacked, computed together.

    Each gives what it would give alone, to rounding; one optimiser moves them all, because it
    works on every number for itself.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        super().__init__()
        stacked, _ = stack_module_state(list(learners))
        fixed = {name: not value.requires_grad for name, value in learners[0].named_parameters()}
        self.names = list(stacked)
        self.stacked = nn.ParameterList(
            nn.Parameter(stacked[name].detach(), requires_grad=not fixed[name])
            for name in self.names
        )
        self._template = [deepcopy(learners[0]).to("meta")]  # in a list: not a submodule

    def forward(self, clips: Tensor, labels: Tensor, masks: DropoutMasks | None) -> LossTerms:
        """The losses of K learners, (K,) each; arguments as `Learner`'s with K in front."""
        template = self._template[0]

        def one(
            weights: dict[str, Tensor], clips: Tensor, labels: Tensor, masks: DropoutMasks
        ) -> LossTerms:
            terms: LossTerms = functional_call(template, weights, (clips, labels, masks))
            return terms

        weights = dict(zip(self.names, self.stacked, strict=True))
        terms: LossTerms = torch.vmap(one)(weights, clips, labels, _complete(masks, clips))
        return terms


def _complete(masks: DropoutMasks | None, clips: Tensor) -> DropoutMasks:
    """Masks that drop nothing where there are none: vmap cannot run the fused recurrence."""
    nothing_dropped = clips.new_ones((*clips.shape[:3], 1))  # (K, clips, T, 1)
    if masks is None:
        return DropoutMasks(nothing_dropped, nothing_dropped)
    if masks.recurrent is None:
        return DropoutMasks(masks.flattened, nothing_dropped)
    return masks


def draw_masks(
    config: NetworkConfig, clips: int, frames: int, width: int, generator: torch.Generator
) -> DropoutMasks | None:
    """Dropout for one step.

    Args:
        config: both dropout rates.
        clips: how many the step has.
        frames: T.
        width: of the trunk's output.
        generator: on the device where the masks are to be.
    """
    if not (config.dropout or config.recurrent_dropout):
        return None
    flattened = _mask((clips, frames, width), config.dropout, generator)
    if not config.recurrent_dropout:
        return DropoutMasks(flattened, None)
    return DropoutMasks(
        flattened, _mask((clips, frames, FEATURE), config.recurrent_dropout, generator)
    )


def _mask(shape: tuple[int, ...], rate: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(shape, generator=generator, device=generator.device) >= rate
    return kept / (1 - rate)
