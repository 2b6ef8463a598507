"""From a distance to the probability of being the same person, fitted on labelled tracklets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.evaluation.metrics import euclidean_distances

SURE_GAIN = 2.0
"""Standard errors by which a calibration must be nearer to the truth than its prior."""

FEWEST_PAIRS = 5
"""Of the same person and of different people, in each half."""
FALSE_ACCEPT_RATES = (0.0001, 0.001, 0.01, 0.1)
MOST_TRACKLETS = 2_000
GROUPS = 10

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rates:
    """What happens when every pair up to a distance is taken for the same person.

    Attributes:
        distance: the threshold.
        probability: the calibrated probability at the threshold.
        false_accept: share of the pairs of different people that are taken for the same.
        false_reject: share of the pairs of the same person that are not.
    """

    distance: float
    probability: float
    false_accept: float
    false_reject: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How well probabilities hold for others than were fitted on: half fitted, half checked, twice.

    Attributes:
        brier: mean squared difference between the probability and the truth (0 or 1).
        brier_of_prior: the same for someone who always says the prior.
        calibration_error: mean difference, over ten equally filled groups of pairs, between the
            mean probability and the share of pairs that are the same person.
        gain_error: the standard error of `gain`.
    """

    brier: float
    brier_of_prior: float
    calibration_error: float
    gain_error: float = 0.0

    @property
    def gain(self) -> float:
        """How much nearer to the truth the probabilities are than the prior alone."""
        return self.brier_of_prior - self.brier


@dataclass(frozen=True)
class Calibration:
    """The probability that two tracklets of different cameras show the same person.

    `probability = 1 / (1 + exp(slope * distance - intercept))`, Platt's logistic fit, with a slope
    of at least 0: a larger distance is never a larger probability.

    Attributes:
        model: the model whose distances these are; for no other does this hold.
        intercept, slope: of the fit.
        prior: the share of pairs that show the same person where the probabilities hold.
        people: persons fitted on; 0 where pairs were labelled one by one.
        same_pairs, different_pairs: pairs fitted on, across cameras.
        equal_error_rate: false accepts and false rejects where both are as many.
        rates: at thresholds of interest, nearest first.
        held_out: the check on other people, or on other labels; None in calibrations of versions
            that did not insist on it.
    """

    model: str
    intercept: float
    slope: float
    prior: float
    people: int
    same_pairs: int
    different_pairs: int
    equal_error_rate: float
    rates: tuple[Rates, ...]
    held_out: HeldOut | None

    def log_odds(self, distances: NDArray[np.floating[Any]]) -> Numbers:
        """log(p / (1 - p)) of the distances' probabilities p, in the same shape."""
        return np.asarray(self.intercept - self.slope * np.asarray(distances, dtype=np.float64))

    def probabilities(self, distances: NDArray[np.floating[Any]]) -> Numbers:
        """Probabilities of the distances, in the same shape."""
        return np.asarray(expit(self.log_odds(distances)))


@dataclass(frozen=True)
class Pairs:
    """P pairs of tracklets of different cameras.

    Attributes:
        distances: (P,) between their features.
        same: (P,) whether they show the same person.
        persons: (P, 2) whom they show; None for pairs of which each tells something of its own.
    """

    distances: Numbers
    same: Truths
    persons: NDArray[np.int64] | None = None


def calibrate(embeddings: Embeddings, model: str, prior: float | None = None) -> Calibration:
    """Fit the probability of being the same person on labelled tracklets.

    All pairs of tracklets from different cameras are used, junk and distractors left out, of
    at most 2,000 tracklets. The labelled people should not be those the model was trained on:
    on these, every model looks better than it is.

    Args:
        prior: the share of same-person pairs where the probabilities will be used; None takes the
            share among the labelled pairs. A gallery in which one tracklet in a thousand is the
            right one has a prior of 0.001.
    """
    labelled = _labelled(embeddings)
    people = np.random.default_rng(1).permutation(np.unique(labelled.persons))
    halves = (
        _pairs(labelled.take(np.flatnonzero(np.isin(labelled.persons, half))))
        for half in (people[::2], people[1::2])
    )
    return _calibrated(model, _pairs(labelled), halves, prior, len(people))


def calibrate_on_labels(pairs: Pairs, model: str) -> Calibration:
    """Fit the probability of being the same person on pairs that humans have labelled.

    Pairs that were chosen for labelling by nothing but their distance leave the probability of
    each distance as it is in the gallery, so that no prior has to be known.
    """
    order = np.random.default_rng(1).permutation(len(pairs.same))
    halves = (Pairs(pairs.distances[half], pairs.same[half]) for half in (order[::2], order[1::2]))
    return _calibrated(model, pairs, halves, None, 0)


def _calibrated(
    model: str, pairs: Pairs, halves: Iterable[Pairs], prior: float | None, people: int
) -> Calibration:
    _require_enough(pairs)
    prior = float(pairs.same.mean()) if prior is None else prior
    if not 0 < prior < 1:
        raise ReseenError(f"the prior must lie between 0 and 1, not at {prior}")
    held_out = _held_out(*halves)
    if not held_out.gain > SURE_GAIN * held_out.gain_error:
        raise ReseenError(
            f"a calibration of {model} on these pairs says no more than their prior (mean squared "
            f"error {held_out.brier:.4f} on others, {held_out.brier_of_prior:.4f} without looking "
            "at anybody), so it is not kept; is every person one person, in two cameras or more?"
        )
    intercept, slope = fit(pairs, prior)
    return Calibration(
        model=model,
        intercept=intercept,
        slope=slope,
        prior=prior,
        people=people,
        same_pairs=int(pairs.same.sum()),
        different_pairs=int((~pairs.same).sum()),
        equal_error_rate=equal_error_rate(pairs),
        rates=_rates(pairs, intercept, slope),
        held_out=held_out,
    )


def _labelled(embeddings: Embeddings) -> Embeddings:
    """The tracklets of known people; of very many, those of people drawn at random."""
    random = np.random.default_rng(0)
    people, counts = np.unique(embeddings.persons, return_counts=True)
    order = random.permutation(np.flatnonzero(people > DISTRACTOR))
    drawn = people[order[np.cumsum(counts[order]) <= MOST_TRACKLETS]]
    return embeddings.take(np.flatnonzero(np.isin(embeddings.persons, drawn)))


def _pairs(labelled: Embeddings) -> Pairs:
    if not len(labelled):
        return Pairs(np.zeros(0), np.zeros(0, dtype=np.bool_))
    first, second = np.triu_indices(len(labelled), 1)
    across = labelled.cameras[first] != labelled.cameras[second]
    first, second = first[across], second[across]
    distances = euclidean_distances(labelled.features, labelled.features)[first, second]
    persons = np.column_stack([labelled.persons[first], labelled.persons[second]])
    return Pairs(distances.astype(np.float64), persons[:, 0] == persons[:, 1], persons)


def _require_enough(pairs: Pairs) -> None:
    for found, what in ((pairs.same, "the same person"), (~pairs.same, "different people")):
        if found.sum() < 2 * FEWEST_PAIRS:
            raise ReseenError(
                f"only {found.sum()} pairs of tracklets show {what} in two cameras; a calibration "
                f"needs at least {2 * FEWEST_PAIRS}, half of them to be checked on the others, and "
                "some hundreds to be worth something"
            )


def fit(pairs: Pairs, prior: float) -> tuple[float, float]:
    """Fit intercept and slope, and shift them from the pairs' own share to the prior.

    The targets are Platt's, a little off 0 and 1, so that well separated pairs do not drive
    the slope to infinity.
    """
    scale = max(float(pairs.distances.std()), 1e-12)
    same, different = pairs.same.sum(), (~pairs.same).sum()
    targets = np.where(pairs.same, (same + 1) / (same + 2), 1 / (different + 2))
    scaled = pairs.distances / scale

    def loss(parameters: Numbers) -> tuple[float, Numbers]:
        logits = parameters[0] - parameters[1] * scaled
        wrong = expit(logits) - targets
        value = np.mean(np.logaddexp(0, logits) - targets * logits)
        return float(value), np.array([wrong.mean(), -(wrong * scaled).mean()])

    own = logit(pairs.same.mean())
    start = np.array([own + 1, 1.0])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None)])
    return float(found.x[0] + logit(prior) - own), float(found.x[1] / scale)


def equal_error_rate(pairs: Pairs) -> float:
    """The errors at the threshold where false accepts and false rejects are closest."""
    thresholds = np.unique(pairs.distances)
    accepts, rejects = _errors(pairs, thresholds)
    crossing = int(np.argmin(np.abs(accepts - rejects)))
    return float((accepts[crossing] + rejects[crossing]) / 2)


def _errors(pairs: Pairs, thresholds: Numbers) -> tuple[Numbers, Numbers]:
    """False accept and false reject rates when distances up to each threshold are accepted."""
    same, different = np.sort(pairs.distances[pairs.same]), np.sort(pairs.distances[~pairs.same])
    accepted = np.searchsorted(different, thresholds, side="right") / len(different)
    rejected = 1 - np.searchsorted(same, thresholds, side="right") / len(same)
    return accepted, rejected


def _rates(pairs: Pairs, intercept: float, slope: float) -> tuple[Rates, ...]:
    """The errors at the largest thresholds that keep false accepts at or below round rates."""
    different = np.sort(pairs.distances[~pairs.same])
    allowed = [int(rate * len(different)) for rate in FALSE_ACCEPT_RATES]
    thresholds = np.array([np.nextafter(different[many], 0) for many in allowed if many])
    accepts, rejects = _errors(pairs, thresholds)
    columns = (thresholds, expit(intercept - slope * thresholds), accepts, rejects)
    return tuple(Rates(*map(float, row)) for row in zip(*columns, strict=True))


def _held_out(*halves: Pairs) -> HeldOut:
    if any(min(half.same.sum(), (~half.same).sum()) < FEWEST_PAIRS for half in halves):
        raise ReseenError(
            "too few people to fit a calibration on one half of them and check it on the other; "
            "take more people"
        )
    checks = []
    for fitted, checked in (halves, halves[::-1]):
        prior = float(fitted.same.mean())
        intercept, slope = fit(fitted, prior)
        probabilities = expit(intercept - slope * checked.distances)
        checks.append((probabilities, np.full(len(probabilities), prior), checked.same))
    probabilities, priors, truths = (np.concatenate(column) for column in zip(*checks, strict=True))
    errors, errors_of_prior = (probabilities - truths) ** 2, (priors - truths) ** 2
    return HeldOut(
        brier=float(errors.mean()),
        brier_of_prior=float(errors_of_prior.mean()),
        gain_error=_standard_error(errors_of_prior - errors, halves[::-1]),
        calibration_error=_calibration_error(probabilities, truths),
    )


def _standard_error(values: Numbers, checked: Iterable[Pairs]) -> float:
    """Of the mean over pairs, which tell less than their number where they share people.

    Everybody is left out with all their pairs in turn: the jackknife (Tukey 1958) over people.
    """
    everybody = [half.persons for half in checked if half.persons is not None]
    if not everybody:
        return float(np.std(values, ddof=1) / np.sqrt(len(values)))
    people, sides = np.unique(np.concatenate(everybody), return_inverse=True)
    one, other = sides.reshape(-1, 2).T
    apart = one != other  # nobody is left out twice
    sums, counts = (
        np.bincount(one, each, len(people)) + np.bincount(other[apart], each[apart], len(people))
        for each in (values, np.ones(len(values)))
    )
    without = (values.sum() - sums) / (len(values) - counts)
    return float(np.std(without) * np.sqrt(len(people) - 1))


def _calibration_error(probabilities: Numbers, truths: Truths) -> float:
    groups = np.array_split(np.argsort(probabilities, kind="stable"), GROUPS)
    gaps = [
        abs(probabilities[group].mean() - truths[group].mean()) for group in groups if len(group)
    ]
    return float(np.mean(gaps))
