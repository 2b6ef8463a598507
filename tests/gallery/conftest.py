"""An empty gallery in a folder of its own, and what bytes are found in it."""

from pathlib import Path

import pytest

from reseen.gallery.gallery import Gallery


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "gallery"


@pytest.fixture
def gallery(folder):
    return Gallery.open(folder, create=True)


@pytest.fixture
def traces():
    """The function that names the files, and secrets, of which any holds a secret's bytes."""

    def find(folder: Path, secrets: list[bytes]) -> list[str]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if any(each in path.read_bytes() for each in secrets)]

    return find
