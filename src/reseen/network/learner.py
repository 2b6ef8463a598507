"""What a training step differentiates: network, shared classifier and loss, once or many times."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from reseen.network.config import Config, NetworkConfig
from reseen.network.losses import LossTerms, multi_loss
from reseen.network.model import FEATURE, FLATTENED, DropoutMasks, SpatialTemporalFusion


class Learner(nn.Module):
    """A network, the classifier that both clips of a pair share, and the loss of eq. (9).

    Args:
        config: settings of the training.
        people: P, the number of people it is trained on.
        seed: the initial weights follow from it.
    """

    def __init__(self, config: Config, people: int, seed: int) -> None:
        super().__init__()
        self.loss = config.loss
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = SpatialTemporalFusion(config.network)
            self.classifier = nn.Linear(FEATURE, people)
        self._fix_unused()

    def forward(self, clips: Tensor, labels: Tensor, masks: DropoutMasks | None) -> LossTerms:
        """The loss of a step.

        Args:
            clips: all first clips, then all second clips of the pairs, (2·B, T, 5, 56, 40).
            labels: 0-based training labels, (2, B) int64.
            masks: dropout, for 2·B clips.
        """
        features = getattr(self.network(clips, masks), self.loss.feature)
        first, second = features.chunk(2)
        first_scores, second_scores = self.classifier(features).chunk(2)
        return multi_loss(
            first, second, first_scores, second_scores, labels[0], labels[1], self.loss
        )

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
    nothing_dropped = clips.new_ones((*clips.shape[:-3], 1))
    if masks is None:
        return DropoutMasks(nothing_dropped, nothing_dropped)
    if masks.recurrent is None:
        return DropoutMasks(masks.flattened, nothing_dropped)
    return masks


def draw_masks(
    config: NetworkConfig, clips: int, frames: int, generator: torch.Generator
) -> DropoutMasks | None:
    """Dropout for one step.

    Args:
        config: both dropout rates.
        clips: 2·B.
        frames: T.
        generator: on the device where the masks are to be.
    """
    if not (config.dropout or config.recurrent_dropout):
        return None
    flattened = _mask((clips, frames, FLATTENED), config.dropout, generator)
    if not config.recurrent_dropout:
        return DropoutMasks(flattened, None)
    return DropoutMasks(
        flattened, _mask((clips, frames, FEATURE), config.recurrent_dropout, generator)
    )


def _mask(shape: tuple[int, ...], rate: float, generator: torch.Generator) -> Tensor:
    kept = torch.rand(shape, generator=generator, device=generator.device) >= rate
    return kept / (1 - rate)
