"""The people of a gallery, a page of them at a time."""

import numpy as np
import pytest

from reseen.gallery.gallery import Gallery
from reseen.gallery.people import Directory
from reseen.gallery.records import Filter, NewTracklets
from reseen.gallery.registers import Member

ENDS = {"ada": [90, 10], "ben": [50], "eve": [None, 60], "max": [None], "zoe": [60, 5]}
ORDER = ["ada", "eve", "zoe", "ben", "max"]
"""By when they were last seen, then by name; whose time is not known comes last."""


@pytest.fixture
def gallery(tmp_path):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    seen = [(who, end) for who, ends in ENDS.items() for end in ends]
    tracklets = NewTracklets(
        ids=[f"t{number}" for number in range(len(seen))],
        cameras=["north"] * len(seen),
        sources=["film"] * len(seen),
        starts=[None if end is None else end - 5 for _, end in seen],
        ends=[end for _, end in seen],
        frames=list(range(len(seen))),
    )
    opened.add_embedded(tracklets, {"net": np.eye(len(seen), dtype=np.float32)})
    opened.members.put([Member(f"t{number}", who, None) for number, (who, _) in enumerate(seen)])
    return opened


def test_pages_hold_everybody_once_those_seen_last_first(gallery):
    directory = Directory(gallery)
    names = directory.called()
    assert names.to_pylist() == ORDER
    pages = [directory.people(names, 2, offset) for offset in (0, 2, 4, 6)]
    assert [[person.identity for person in page] for page in pages] == [
        ["ada", "eve"],
        ["zoe", "ben"],
        ["max"],
        [],
    ]
    ada = pages[0][0]
    assert ada.ids == ["t1", "t0"]  # in order of time
    assert [each.entry.id for each in ada.appearances(1, 1)] == ["t0"]
    assert (ada.start, ada.end, ada.cameras) == (5, 90, ["north"])
    assert (ada.best.id, ada.beside("t1"), pages[1][1].beside("t2")) == ("t1", "t0", None)


def test_a_page_reads_nobody_else(gallery, monkeypatch):
    directory, read = Directory(gallery), []
    names = directory.called()
    columns, find = gallery.columns, gallery.find

    def narrow(*asked):
        read.append(found := columns(*asked))
        return found

    def whole(ids):
        read.append(ids)
        return find(ids)

    monkeypatch.setattr(gallery, "columns", narrow)
    monkeypatch.setattr(gallery, "find", whole)
    directory.people(names, 2)
    of_all, best = read
    assert set(of_all["id"].to_pylist()) == {"t0", "t1", "t3", "t4"}
    assert "source" not in of_all.column_names
    assert sorted(best) == ["t1", "t4"]


def test_names_follow_every_change(gallery):
    directory = Directory(gallery)
    assert len(directory.called()) == 5
    gallery.members.put([Member("t2", "Benjamin", None)])
    assert directory.called("BEN").to_pylist() == ["Benjamin"]
    gallery.forget(Filter(ids=("t2",)))
    assert directory.called().to_pylist() == ["ada", "eve", "zoe", "max"]


def test_where_nobody_is_known_there_is_nobody(tmp_path):
    directory = Directory(Gallery.open(tmp_path / "empty", create=True))
    assert directory.people(directory.called(), 10) == []
