import pytest

from reseen.gallery.registers import Labels
from reseen.gallery.table import Database


@pytest.fixture
def labels(tmp_path):
    return Labels(Database(str(tmp_path), tmp_path))


def said(labels):
    return [(label.query, label.match, label.same) for label in labels.all()]


def test_the_last_label_on_two_tracklets_counts_whichever_was_searched_for(labels):
    labels.add("a", "b", same=True)
    labels.add("c", "d", same=False)
    labels.add("b", "a", same=False)
    assert said(labels) == [("c", "d", False), ("b", "a", False)]


def test_labels_are_kept_for_everybody_with_their_times(tmp_path, labels):
    labels.add("a", "it's \\' OR 1=1", same=True)
    labels.add('a"b', "c\nd", same=False)
    again = Labels(Database(str(tmp_path), tmp_path)).all()
    assert again == labels.all()
    assert [label.match for label in again] == ["it's \\' OR 1=1", "c\nd"]


def test_there_are_no_labels_at_first(labels):
    assert said(labels) == []


def test_a_label_can_be_taken_back_from_either_side_and_be_given_again(labels):
    labels.add("a", "b", same=True)
    labels.add("c", "d", same=True)
    labels.remove("b", "a")
    labels.remove("x", "y")
    assert said(labels) == [("c", "d", True)]
    labels.add("a", "b", same=False)
    assert said(labels) == [("c", "d", True), ("a", "b", False)]
