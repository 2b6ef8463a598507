import pytest

from reseen.gallery.marks import Marks


@pytest.fixture
def marks(tmp_path):
    return Marks(tmp_path / "marks.jsonl")


def said(marks):
    return [(mark.query, mark.match, mark.same) for mark in marks.all()]


def test_the_last_verdict_on_two_tracklets_counts_whichever_was_searched_for(marks):
    marks.add("a", "b", same=True)
    marks.add("c", "d", same=False)
    marks.add("b", "a", same=False)
    assert said(marks) == [("b", "a", False), ("c", "d", False)]


def test_forgetting_drops_every_verdict_on_a_tracklet(marks):
    marks.add("a", "b", same=True)
    marks.add("c", "a", same=True)
    marks.add("c", "d", same=False)
    times = [mark.time for mark in marks.all()]
    marks.forget({"a"})
    assert said(marks) == [("c", "d", False)]
    assert [mark.time for mark in marks.all()] == times[2:]
    marks.add("a", "c", same=False)  # a new tracklet may get the old one's id
    assert said(marks) == [("c", "d", False), ("a", "c", False)]


def test_there_are_no_marks_at_first(marks):
    assert said(marks) == []
    marks.forget({"a"})
    assert said(marks) == []
