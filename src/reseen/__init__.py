"""Find the same person again in another camera's video.

    >>> import numpy as np
    >>> import reseen
    >>> people, features = np.array([1, 2, 3]), np.eye(3, dtype=np.float32)
    >>> query = reseen.Embeddings(features, people, np.full(3, 1), ("a1", "b1", "c1"))
    >>> gallery = reseen.Embeddings(features, people, np.full(3, 2), ("a2", "b2", "c2"))
    >>> reseen.score(query, gallery).mean_average_precision
    1.0

The names below are loaded when they are asked for: importing reseen costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reseen.data.datasets import load as load_dataset
    from reseen.data.embeddings import Embeddings
    from reseen.data.prepare import prepare
    from reseen.evaluation.evaluate import evaluate
    from reseen.evaluation.protocol import score_by_protocol as score
    from reseen.gallery.gallery import Gallery
    from reseen.network.config import Config
    from reseen.network.embed import load
    from reseen.network.training import train
    from reseen.tracking.track import track

__all__ = [
    "Config",
    "Embeddings",
    "Gallery",
    "evaluate",
    "load",
    "load_dataset",
    "prepare",
    "score",
    "track",
    "train",
]

_HOMES = {
    "Config": "network.config:Config",
    "Embeddings": "data.embeddings:Embeddings",
    "Gallery": "gallery.gallery:Gallery",
    "evaluate": "evaluation.evaluate:evaluate",
    "load": "network.embed:load",
    "load_dataset": "data.datasets:load",
    "prepare": "data.prepare:prepare",
    "score": "evaluation.protocol:score_by_protocol",
    "track": "tracking.track:track",
    "train": "network.training:train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reseen' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"reseen.{module}"), attribute)


def __dir__() -> list[str]:
    return __all__
