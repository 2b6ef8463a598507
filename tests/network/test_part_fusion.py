"""The weights of eq. (10) against a search over a grid of all weights."""

import itertools

import numpy as np
import pytest
import torch

from reseen.network.config import LossConfig
from reseen.network.held_out import fit_part_weights

PAIRS, DIMENSIONS, PEOPLE = 128, 128, 6


def parts_of(noise, seed=0):
    """Features (3, 2, PAIRS, 128): each person has a place, blurred by each part's own noise."""
    random = np.random.default_rng(seed)
    places = random.normal(0, 1 / 12, (PEOPLE, DIMENSIONS))
    first = random.integers(PEOPLE, size=PAIRS)
    other = (first + random.integers(1, PEOPLE, size=PAIRS)) % PEOPLE
    labels = np.stack((first, np.where(np.arange(PAIRS) % 2, first, other)))
    blur = random.normal(0, 1, (3, 2, PAIRS, DIMENSIONS)) * np.reshape(noise, (3, 1, 1, 1))
    features = places[labels] + blur
    return features.astype(np.float32), labels


def loss_of(weights, features, labels, margin=2.0):
    """Eq. (7) of the weighted parts in NumPy, the mean over pairs."""
    first, second = np.einsum("p,psbd->sbd", weights, features)
    squared = ((first - second) ** 2).sum(axis=1)
    different = np.maximum(margin - squared, 0) ** 2 / 2
    return np.where(labels[0] == labels[1], squared / 2, different).mean()


@pytest.mark.parametrize(
    "noise", [(0.02, 0.09, 0.09), (0.09, 0.03, 0.06), (0.05, 0.05, 0.05), (0.03, 0.2, 0.035)]
)
def test_learned_weights_are_the_best_of_a_grid(noise):
    features, labels = parts_of(noise)
    fusion = fit_part_weights(
        torch.from_numpy(features), torch.from_numpy(labels), PEOPLE, LossConfig(softmax_weight=0.0)
    )
    learned = fusion.weights.detach().numpy()
    grid = [
        np.array([a, b, 50 - a - b]) / 50
        for a, b in itertools.product(range(51), repeat=2)
        if a + b <= 50
    ]
    best = min(grid, key=lambda weights: loss_of(weights, features, labels))
    assert learned.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(learned, best, atol=0.04)  # two steps of the grid
    assert loss_of(learned, features, labels) <= loss_of(best, features, labels) * 1.001


def test_whole_loss_prefers_the_part_that_tells_people_apart():
    features, labels = parts_of((0.3, 0.01, 0.3))
    fusion = fit_part_weights(
        torch.from_numpy(features), torch.from_numpy(labels), PEOPLE, LossConfig()
    )
    full, upper, lower = fusion.weights.tolist()
    assert upper > 0.6
    assert upper > 3 * max(full, lower)
