import numpy as np
import pytest
import torch

from reseen.network.config import LossConfig
from reseen.network.losses import SIAMESE, multi_loss

ALPHA = 2.0
DIFFERENT, SAME = torch.tensor([False]), torch.tensor([True])


def apart(distance):
    """A difference of two features of that length, in float64."""
    direction = torch.tensor([[0.48, -0.6, 0.64]], dtype=torch.float64)
    return (distance * direction).requires_grad_()


def loss_and_gradient(kind, distance, same):
    difference = apart(distance)
    loss = SIAMESE[kind](difference, same, ALPHA).sum()
    loss.backward()
    return loss.item(), difference.grad.norm().item()


@pytest.mark.parametrize(
    ("kind", "distance", "expected"),
    [
        ("literal", 0.0, 2.0),
        ("literal", 0.5, 1.75**2 / 2),
        ("literal", 1.0, 0.5),
        ("literal", 1.5, 0.0),  # beyond the square root of alpha
        ("hadsell", 0.0, 2.0),
        ("hadsell", 1.5, 0.125),
        ("hadsell", 2.5, 0.0),
        ("hinge", 0.0, 2.0),
        ("hinge", 1.5, 0.5),
        ("hinge", 2.5, 0.0),
    ],
)
def test_loss_of_different_people(kind, distance, expected):
    assert loss_and_gradient(kind, distance, DIFFERENT)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "expected"), [("literal", 1.125), ("hadsell", 1.125), ("hinge", 1.5)]
)
def test_loss_of_the_same_person(kind, expected):
    assert loss_and_gradient(kind, 1.5, SAME)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("distance", "norm"),
    [(0.0, 0.0), (0.5, 1.75), ((2 / 3) ** 0.5, 2.177324), (1.0, 2.0), (2**0.5, 0.0)],
)
def test_gradient_of_the_literal_equation_7(distance, norm):
    gradient = loss_and_gradient("literal", distance, DIFFERENT)[1]
    assert gradient == pytest.approx(norm, abs=1e-6)


@pytest.mark.parametrize("same", [DIFFERENT, SAME], ids=["different", "same"])
@pytest.mark.parametrize("kind", SIAMESE)
def test_gradient_is_finite_where_both_features_are_one(kind, same):
    assert np.isfinite(loss_and_gradient(kind, 0.0, same)[1])


def multi_loss_by_hand(first, second, weights, first_labels, second_labels, config):
    """Eq. (9), pair by pair, with eq. (7) as printed and eq. (8)."""
    siamese, softmax = [], []
    for x_i, x_j, i, j in zip(first, second, first_labels, second_labels, strict=True):
        squared = np.sum((x_i - x_j) ** 2)
        siamese.append(squared / 2 if i == j else max(config.margin - squared, 0) ** 2 / 2)
        softmax.append(
            sum(np.log(np.exp(weights @ x).sum()) - weights[y] @ x for x, y in ((x_i, i), (x_j, j)))
        )
    total = np.mean(
        [
            config.siamese_weight * s + config.softmax_weight * c
            for s, c in zip(siamese, softmax, strict=True)
        ]
    )
    return np.mean(siamese), np.mean(softmax), total


def test_multi_loss_is_equation_9():
    random = np.random.default_rng(0)
    first, second = random.normal(0, 0.4, (2, 6, 8))
    weights = random.normal(0, 1, (5, 8))
    labels = np.array([[0, 1, 2, 3, 4, 0], [0, 1, 2, 4, 0, 1]])
    config = LossConfig(margin=1.7, siamese_weight=0.5, softmax_weight=3.0)
    terms = multi_loss(
        *map(torch.from_numpy, (first, second, first @ weights.T, second @ weights.T, *labels)),
        config,
    )
    expected = multi_loss_by_hand(first, second, weights, *labels, config)
    assert [term.item() for term in terms] == pytest.approx(expected)


@pytest.mark.parametrize("kind", SIAMESE)
def test_multi_loss_uses_the_chosen_reading(kind):
    first, second = apart(0.9).detach(), torch.zeros(1, 3, dtype=torch.float64)
    scores = torch.zeros(1, 2, dtype=torch.float64)
    config = LossConfig(siamese=kind)
    labels = torch.tensor([0]), torch.tensor([1])
    terms = multi_loss(first, second, scores, scores, *labels, config)
    assert terms.siamese.item() == pytest.approx(loss_and_gradient(kind, 0.9, DIFFERENT)[0])
    assert terms.softmax.item() == pytest.approx(2 * np.log(2))
