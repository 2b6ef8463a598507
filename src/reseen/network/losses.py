"""Equations (7)-(9) of Chen et al. 2017: what the network is trained on."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reseen.network.config import LossConfig


class LossTerms(NamedTuple):
    """The terms of eq. (9), scalars, each a mean over the pairs of a step."""

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


def multi_loss(
    first: Tensor,
    second: Tensor,
    first_scores: Tensor,
    second_scores: Tensor,
    first_labels: Tensor,
    second_labels: Tensor,
    config: LossConfig,
) -> LossTerms:
    """Eq. (9), the mean over the pairs of a step.

    Args:
        first, second: the features of each pair's two clips, (B, D).
        first_scores, second_scores: W x of eq. (8), from one shared classifier, (B, P).
        first_labels, second_labels: 0-based training labels, (B,) int64.
        config: reading of eq. (7), alpha and the weights.
    """
    same = first_labels == second_labels
    siamese = SIAMESE[config.siamese](first - second, same, config.margin).mean()
    softmax = functional.cross_entropy(first_scores, first_labels)  # eq. (8)
    softmax = softmax + functional.cross_entropy(second_scores, second_labels)
    total = config.siamese_weight * siamese + config.softmax_weight * softmax
    return LossTerms(siamese, softmax, total)
