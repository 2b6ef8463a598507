"""95 % intervals: over trials, and over people where there is one trial only."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % on both sides of its mean."""


def t_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Interval of a share's mean over several trials, by Student's t distribution.

    Trials are random halves of the same people, so this speaks of other splits and seeds of
    those people, not of other people.

    Args:
        values: (T,) in [0, 1], with T at least 2.
    """
    mean, half = float(np.mean(values)), half_t_interval(values)
    return max(0.0, mean - half), min(1.0, mean + half)


def half_t_interval(values: NDArray[np.float64]) -> float:
    """How far the interval of a mean over trials reaches to either side of it.

    Args:
        values: (T,), with T at least 2.
    """
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(stdtrit(len(values) - 1, 0.975)) * error


def wilson_interval(share: float, queries: float) -> tuple[float, float]:
    """Interval of a share, or of a mean of values in [0, 1], found with so many queries.

    Wilson's score interval (1927): unlike the usual one it holds at shares of 0 and 1 and for
    few queries. A mean of values between 0 and 1, such as the mean average precision, varies at
    most as much as a share does, so for it the interval is on the wide side.

    Args:
        share: in [0, 1].
        queries: how many independent ones; see `effective_queries`.
    """
    centre = (share + Z**2 / (2 * queries)) / (1 + Z**2 / queries)
    variance = share * (1 - share) / queries + Z**2 / (4 * queries**2)
    half = Z * math.sqrt(variance) / (1 + Z**2 / queries)
    return max(0.0, centre - half), min(1.0, centre + half)


def effective_queries(persons: NDArray[np.integer]) -> float:
    """How many independent observations queries of these persons are worth (Kish, 1965).

    Queries of one person rise and fall together, so they count as one; people with more queries
    weigh more in the mean, which costs a part of the others' worth.

    Args:
        persons: (Q,), the person of each scored query; not empty.
    """
    _, counts = np.unique(persons, return_counts=True)
    return float(counts.sum() ** 2 / np.square(counts).sum())
