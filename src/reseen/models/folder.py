"""Where network files are kept on this machine, and what one is made of."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from reseen.errors import ReseenError

FOLDER_SETTING = "RESEEN_MODELS"
"""Environment variable that names another folder than the user's cache."""

CHUNK = 1 << 20


def models_folder() -> Path:
    """The folder for network files: `RESEEN_MODELS`, else in the user's cache."""
    from platformdirs import user_cache_path

    chosen = os.environ.get(FOLDER_SETTING)
    return Path(chosen) if chosen else user_cache_path("reseen") / "models"


def sha256_of(*paths: Path) -> str:
    """The SHA-256 of files, one behind the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        for chunk in _chunks(path):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise ReseenError(f"{path} cannot be read: {error.strerror}") from error
