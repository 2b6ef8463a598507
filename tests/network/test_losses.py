import itertools

import numpy as np
import pytest
import torch

from reseen.network.config import Config, LossConfig
from reseen.network.losses import SIAMESE, Learner, all_pairs_loss, pair_loss
from reseen.network.model import SpatialTemporalFusion

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


def loss_by_hand(first, second, weights, first_labels, second_labels, config):
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


def test_pair_loss_is_equation_9():
    random = np.random.default_rng(0)
    first, second = random.normal(0, 0.4, (2, 6, 8))
    weights = random.normal(0, 1, (5, 8))
    labels = np.array([[0, 1, 2, 3, 4, 0], [0, 1, 2, 4, 0, 1]])
    config = LossConfig(margin=1.7, siamese_weight=0.5, softmax_weight=3.0)
    features = np.concatenate((first, second))
    terms = pair_loss(
        *map(torch.from_numpy, (features, features @ weights.T, labels.ravel())), config
    )
    expected = loss_by_hand(first, second, weights, *labels, config)
    assert [term.item() for term in terms] == pytest.approx(expected)


@pytest.mark.parametrize("kind", SIAMESE)
def test_pair_loss_uses_the_chosen_reading(kind):
    first, second = apart(0.9).detach(), torch.zeros(1, 3, dtype=torch.float64)
    scores = torch.zeros(2, 2, dtype=torch.float64)
    config = LossConfig(siamese=kind)
    terms = pair_loss(torch.cat((first, second)), scores, torch.tensor([0, 1]), config)
    assert terms.siamese.item() == pytest.approx(loss_and_gradient(kind, 0.9, DIFFERENT)[0])
    assert terms.softmax.item() == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize("negatives", ["all", "hardest"])
@pytest.mark.parametrize("kind", SIAMESE)
def test_every_pair_of_a_step_counts_and_both_kinds_count_the_same(kind, negatives):
    """Eqs. (7)-(9) in a loop over all pairs; 6 clips of 3, 2 and 1: 4 positives, 11 negatives.

    Of the negatives, each clip's nearest alone may count.
    """
    random = np.random.default_rng(3)
    features, weights = random.normal(0, 0.4, (6, 8)), random.normal(0, 1, (3, 8))
    labels = np.array([0, 1, 0, 2, 1, 0])
    config = LossConfig(
        siamese=kind, margin=1.7, negatives=negatives, siamese_weight=0.5, softmax_weight=3.0
    )
    losses, nearest = {True: [], False: []}, {}
    for i, j in itertools.combinations(range(6), 2):
        distance, same = np.linalg.norm(features[i] - features[j]), labels[i] == labels[j]
        inside = distance**2 if kind == "literal" else distance
        if kind == "hinge":
            loss = distance if same else max(1.7 - distance, 0)
        else:
            loss = distance**2 / 2 if same else max(1.7 - inside, 0) ** 2 / 2
        losses[bool(same)].append(loss)
        for clip in () if same else (i, j):
            nearest[clip] = min(nearest.get(clip, (np.inf, np.inf)), (distance, loss))
    assert (len(losses[True]), len(losses[False])) == (4, 11)
    apart = losses[False] if negatives == "all" else [loss for _, loss in nearest.values()]
    siamese = (np.mean(losses[True]) + np.mean(apart)) / 2
    softmax = 2 * np.mean(
        [
            np.log(np.exp(weights @ x).sum()) - weights[y] @ x
            for x, y in zip(features, labels, strict=True)
        ]
    )
    terms = all_pairs_loss(*map(torch.from_numpy, (features, features @ weights.T, labels)), config)
    expected = siamese, softmax, 0.5 * siamese + 3.0 * softmax
    assert [term.item() for term in terms] == pytest.approx(expected, rel=1e-12)


def test_positive_and_negative_pairs_weigh_the_same_in_total():
    """Of 4 people with 4 clips, each of 24 positives weighs 1/48, each of 96 negatives 1/192."""
    labels = torch.arange(4).repeat_interleave(4)
    features = torch.eye(16, dtype=torch.float64).requires_grad_()
    config = LossConfig(siamese="hinge", margin=100.0, softmax_weight=0.0)
    terms = all_pairs_loss(features, torch.zeros(16, 4), labels, config)
    assert terms.total.item() == pytest.approx((2**0.5 + (100 - 2**0.5)) / 2)
    terms.total.backward()
    # Along another clip's own axis, only the pair with it pulls or pushes: by weight / sqrt(2).
    pulls = features.grad[0, 1:].numpy() * -(2**0.5)
    np.testing.assert_allclose(pulls[:3], 1 / 48)
    np.testing.assert_allclose(pulls[3:], -1 / 192)


@pytest.mark.parametrize("recurrent_input", ["own", "identity-first", "tied", "separate"])
@pytest.mark.parametrize("feature", ["spatial", "temporal", "fused"])
def test_fixed_is_what_the_loss_does_not_depend_on(feature, recurrent_input):
    """And what the settings fix. Several processes would wait for a gradient that never comes."""
    asked = {"network": {"recurrent_input": recurrent_input}, "loss": {"feature": feature}}
    settings = Config.from_mapping(asked, "test")
    learner = Learner(settings, 4, seed=0)
    fixed = {name for name, value in learner.named_parameters() if not value.requires_grad}
    learner.requires_grad_()
    clips, labels = torch.randn(2, 2, 5, 56, 40), torch.tensor([[0], [1]])
    learner(clips, labels, None).total.backward()
    idle = {name for name, value in learner.named_parameters() if value.grad is None}
    network = SpatialTemporalFusion(settings.network).named_parameters(prefix="network")
    assert fixed == idle | {name for name, value in network if not value.requires_grad}
