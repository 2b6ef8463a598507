"""Tracklets as features: what scoring, metric learning and search work on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError, many
from reseen.files import read_file, written_aside

DIGEST = b"digest"
"""The key in a file's metadata under which stands what its content comes down to."""


@dataclass(frozen=True)
class Embeddings:
    """One feature for each of M tracklets; lists and tensors are taken for the arrays they hold.

    Attributes:
        features: (M, D) float32, finite.
        persons: (M,) int64; -1 is junk and 0 a distractor, as in MARS.
        cameras: (M,) int64.
        names: the M tracklets' names, by which a query is known where the gallery holds it, too.
    """

    features: NDArray[np.float32]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for what in ("features", "persons", "cameras"):
            object.__setattr__(self, what, np.asarray(getattr(self, what)))
        object.__setattr__(self, "names", tuple(self.names))
        if self.features.ndim != 2:
            raise ReseenError(f"features must have the shape (M, D), not {self.features.shape}")
        for what in ("persons", "cameras", "names"):
            length = len(getattr(self, what))
            if length != len(self):
                raise ReseenError(f"{what} has {length} entries but there are {len(self)} features")
        for what in ("persons", "cameras"):
            if len(self) and getattr(self, what).dtype.kind not in "iu":
                raise ReseenError(f"{what} must be whole numbers, such as 1; number them")
        broken = np.flatnonzero(~np.isfinite(self.features).all(axis=1))
        if broken.size:
            name = self.names[broken[0]]
            raise ReseenError(
                f"{many(broken.size, 'feature')} {'is' if broken.size == 1 else 'are'} not finite, "
                f"the first is that of {name}; "
                "train again from the last good checkpoint or leave the tracklets out"
            )

    def __len__(self) -> int:
        return len(self.features)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Embeddings":
        """The tracklets at these indices, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        names = tuple(self.names[index] for index in chosen)
        return Embeddings(self.features[chosen], self.persons[chosen], self.cameras[chosen], names)

    def save(self, path: Path) -> None:
        """Write a Parquet file with the columns name, person, camera and feature.

        Raises:
            ReseenError: the file cannot be written; an older one stays whole.
        """
        import pyarrow
        from pyarrow import parquet

        values = pyarrow.array(np.ascontiguousarray(self.features, dtype=np.float32).ravel())
        columns = {
            "name": pyarrow.array(self.names, pyarrow.string()),
            "person": pyarrow.array(self.persons, pyarrow.int64()),
            "camera": pyarrow.array(self.cameras, pyarrow.int64()),
            "feature": pyarrow.FixedSizeListArray.from_arrays(values, self.features.shape[1]),
        }
        table = pyarrow.table(columns).replace_schema_metadata({DIGEST: self._digest()})
        with written_aside(path) as temporary:
            parquet.write_table(table, temporary)

    @classmethod
    def load(cls, path: Path) -> "Embeddings":
        """Read what `save` wrote."""
        import pyarrow
        from pyarrow import parquet

        content = pyarrow.BufferReader(read_file(path))
        try:
            table = parquet.read_table(content, columns=["name", "person", "camera", "feature"])
            feature = table["feature"].combine_chunks()
            if not pyarrow.types.is_fixed_size_list(feature.type):
                raise ReseenError(f"feature is a {feature.type}, not lists of one length")
            features = feature.flatten().to_numpy().reshape(-1, feature.type.list_size)
            whole, text = pyarrow.int64(), pyarrow.string()
            persons, cameras = (table[what].cast(whole).to_numpy() for what in ("person", "camera"))
            found = cls(features, persons, cameras, tuple(table["name"].cast(text).to_pylist()))
            if (table.schema.metadata or {}).get(DIGEST) not in (None, found._digest()):
                raise ReseenError("it is not as it was written")
            return found
        except (OSError, ValueError, NotImplementedError, ReseenError) as error:
            reason = str(error).splitlines()[0]
            raise ReseenError(f"{path} does not hold features: {reason}") from error

    def _digest(self) -> bytes:
        digest = hashlib.blake2b(repr(self.names).encode(), digest_size=16)
        for column, kind in ((self.features, "f4"), (self.persons, "i8"), (self.cameras, "i8")):
            digest.update(np.ascontiguousarray(column, kind).tobytes())
        return digest.hexdigest().encode()


def averaged(augmentations: Sequence[Embeddings]) -> Embeddings:
    """The mean feature of the same tracklets, embedded several times."""
    mean = np.stack([each.features for each in augmentations]).mean(axis=0)
    return replace(augmentations[0], features=mean)


def joined(one: Embeddings, other: Embeddings) -> Embeddings:
    """Two sets of tracklets as one; a tracklet may stand in both."""
    return Embeddings(
        np.concatenate([one.features, other.features]),
        np.concatenate([one.persons, other.persons]),
        np.concatenate([one.cameras, other.cameras]),
        one.names + other.names,
    )
