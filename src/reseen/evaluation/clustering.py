"""How well groups of tracklets agree with the people they show: pairs, B-cubed, IDF1, HOTA."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reseen.errors import ReseenError

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ClusteringScores:
    """Agreement of predicted identities with true people, each from 0 to 1.

    Attributes:
        pair_precision: of the pairs put together, the share that shows one person; 1 where no
            pair was put together.
        pair_recall: of the pairs of one person, the share put together; 1 where there is none.
        bcubed_precision: of those in a tracklet's identity, the share that shows its person,
            averaged over tracklets (Bagga and Baldwin 1998; Amigó et al. 2009).
        bcubed_recall: of a tracklet's person, the share that is in its identity, averaged.
        bcubed_f1: the harmonic mean of the two.
        idf1: share of tracklets right under the best one-to-one naming of identities by people
            (Ristani et al. 2016, with a tracklet in place of a frame's box).
        hota: the root of the mean, over tracklets, of shared / (in its identity or of its person)
            (Luiten et al. 2021). Every tracklet is given, so only association can go wrong.
        reid_hota: HOTA for re-identification, as NIST's package reid_hota computes it: identities
            are named one-to-one by their Jaccard overlap with people, and a tracklet under a
            wrong name is missed and a false alarm at once.
    """

    pair_precision: float
    pair_recall: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    idf1: float
    hota: float
    reid_hota: float


def score_clustering(identities: Labels, persons: Labels) -> ClusteringScores:
    """Compare predicted identities with people.

    Args:
        identities: (M,) one number for each identity.
        persons: (M,) one number for each true person.
    """
    if len(identities) != len(persons) or not len(persons):
        raise ReseenError(
            f"{len(identities)} identities cannot be scored against {len(persons)} people"
        )
    _, rows = np.unique(identities, return_inverse=True)
    _, columns = np.unique(persons, return_inverse=True)
    shared = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(shared, (rows, columns), 1)
    sizes, people = shared.sum(axis=1), shared.sum(axis=0)
    together = _pairs(shared).sum()
    # Each of the n tracklets that an identity and a person share sees the share n / size.
    precision = float((shared**2 / sizes[:, None]).sum() / len(persons))
    recall = float((shared**2 / people[None, :]).sum() / len(persons))
    union = sizes[:, None] + people[None, :] - shared
    named = shared[linear_sum_assignment(shared, maximize=True)].sum()
    jaccard = shared / union
    naming = linear_sum_assignment(jaccard, maximize=True)
    right = shared[naming].sum()
    # Detection is right / (2 M - right), association the mean overlap of those that are right.
    detected_and_associated = (shared * jaccard)[naming].sum() / (2 * len(persons) - right)
    return ClusteringScores(
        pair_precision=_share(together, _pairs(sizes).sum()),
        pair_recall=_share(together, _pairs(people).sum()),
        bcubed_precision=precision,
        bcubed_recall=recall,
        bcubed_f1=2 * precision * recall / (precision + recall),
        idf1=float(named / len(persons)),
        hota=float(np.sqrt((shared * jaccard).sum() / len(persons))),
        reid_hota=float(np.sqrt(detected_and_associated)),
    )


def _pairs(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * (counts - 1) / 2


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0
