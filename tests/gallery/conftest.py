"""An empty gallery in a folder of its own."""

import pytest

from reseen.gallery.gallery import Gallery


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "gallery"


@pytest.fixture
def gallery(folder):
    return Gallery.open(folder, create=True)
