"""Questions and changes worked out by hand."""

import numpy as np
import pytest
from scipy.special import expit

from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.gallery.grouping import Evidence
from reseen.gallery.identities import Identities
from reseen.gallery.people import Changes, Review, changes, questions
from reseen.gallery.records import Filter, NewTracklets


def evidence(odds, spans=None, different=()):
    """Of t0 ... t5 in two cameras by turns; nothing listed means log odds of -4."""
    return Evidence(
        ids=[f"t{place}" for place in range(6)],
        cameras=["north", "south"] * 3,
        spans=spans or [None] * 6,
        pairs=np.array(list(odds), np.int64).reshape(-1, 2),
        log_odds=np.array([*odds.values()], float),
        unlisted=-4.0,
        different=different,
    )


ODDS = {(0, 1): 5.0, (0, 2): 1.0, (1, 2): 2.0, (2, 3): -0.5, (0, 4): -3.0, (4, 5): 0.25}
PEOPLE = ["ada", "ada", "ben", "cid", "dan", "eve"]
"""Means: dan-eve 0.25; ben-cid -0.5; ada-ben (1 + 2) / 2; ada-dan (-3 - 4) / 2."""


@pytest.fixture
def identified(tmp_path, make_calibration):
    """Twelve people, each seen four times by three cameras in turn, at different times."""
    opened = Gallery.open(tmp_path / "gallery", create=True)
    random = np.random.default_rng(3)
    vectors = random.normal(size=(12, 16))[np.arange(48) % 12] + 0.25 * random.normal(size=(48, 16))
    tracklets = NewTracklets(
        ids=[f"t{number:03d}" for number in range(48)],
        cameras=[("north", "south", "yard")[number % 3] for number in range(48)],
        sources=["film"] * 48,
        starts=[600.0 * number for number in range(48)],
        ends=[600.0 * number + 5 for number in range(48)],
        frames=[8] * 48,
    )
    opened.add_embedded(tracklets, {"net": vectors.astype(np.float32)})
    opened.settings.keep_calibration(make_calibration("net", intercept=12.0, slope=4.0))
    Identities(opened).identify()
    return opened


def asked(known, **more):
    return [
        (each.query, each.match, each.identity, each.other)
        for each in questions(known, PEOPLE, **more)
    ]


def test_the_mean_nearest_to_even_odds_is_asked_first_by_the_likeliest_pair():
    assert asked(evidence(ODDS)) == [
        ("t4", "t5", "dan", "eve"),
        ("t2", "t3", "ben", "cid"),
        ("t1", "t2", "ada", "ben"),
        ("t0", "t4", "ada", "dan"),
    ]
    assert next(questions(evidence(ODDS), PEOPLE)).probability == pytest.approx(expit(0.25))


def test_another_order_puts_the_likeliest_first():
    assert [each[2:] for each in asked(evidence(ODDS), first=np.negative)] == [
        ("ada", "ben"),
        ("dan", "eve"),
        ("ben", "cid"),
        ("ada", "dan"),
    ]


def test_who_was_told_apart_or_was_seen_at_once_is_not_asked_about():
    told = evidence(ODDS, different=[(5, 4), (2, 0)])  # t2 from t0 tells ben from all of ada
    assert [each[2:] for each in asked(told)] == [("ben", "cid"), ("ada", "dan")]
    spans = [(0, 10), (20, 30), (5, 12), (40, 50), (60, 70), (80, 90)]  # t0 and t2 in north
    at_once = asked(evidence(ODDS, spans=[(float(a), float(b)) for a, b in spans]))
    assert ("ada", "ben") not in [each[2:] for each in at_once]
    assert len(at_once) == 3


def test_nobody_to_ask_about():
    assert asked(evidence({})) == []
    assert list(questions(evidence(ODDS), ["ada"] * 6)) == []


def test_what_joined_and_what_parted():
    before = {"t0": "a", "t1": "b", "t2": "b", "t3": "c", "gone": "d"}
    after = {"t0": "b", "t1": "b", "t2": "e", "t3": "c", "new": "f"}
    assert changes(before, after) == Changes(4, 4, {"b": ["a", "b"]}, {"b": ["b", "e"]})
    assert changes(before, before) == Changes(4, 4, {}, {})


def test_answers_move_people_and_can_be_taken_back(identified):
    review, before = Review(identified), identified.members.all()
    (question,) = review.questions(1)
    (second,) = review.questions(1, skipped=1)
    assert question != second
    review.answer(question.query, question.match, same=True)
    homes = {member.id: member.identity for member in identified.members.all()}
    assert homes[question.query] == homes[question.match]
    assert question not in review.questions(100)
    review.undo()
    assert identified.labels.all() == []
    assert {m.id: m.probability for m in identified.members.all()} == {
        m.id: m.probability for m in before
    }
    (again,) = review.questions(1)
    assert (again.query, again.match) == (question.query, question.match)
    review.undo()  # there is nothing to take back


def test_ten_answers_tell_what_they_changed(identified):
    review = Review(identified)
    people = len({member.identity for member in identified.members.all()})
    for number in range(10):
        assert review.changes() is None
        (question,) = review.questions(1)
        review.answer(question.query, question.match, same=number % 2 == 0)
    found = review.changes()
    assert found.people_before == people
    assert found.people_after == len({member.identity for member in identified.members.all()})
    assert found.people_after < people
    assert found.joined
    (question,) = review.questions(1)
    review.answer(question.query, question.match, same=False)
    assert review.changes() is None


def test_a_label_that_contradicts_others_leaves_all_as_it_was(identified):
    one, two = (f"t{number:03d}" for number in (0, 12))
    identities = Identities(identified)
    identities.label(one, ["t001"], same=True)
    identities.label("t001", [two], same=False)
    labels, members = identified.labels.all(), identified.members.all()
    with pytest.raises(ReseenError, match="contradict"):
        identities.label(one, ["t002", two], same=True)
    assert [(each.query, each.match, each.same) for each in identified.labels.all()] == [
        (each.query, each.match, each.same) for each in labels
    ]
    assert identified.members.all() == members


def test_a_name_stays_with_most_of_those_who_had_it(identified, tmp_path):
    identities = Identities(identified)
    homes = {member.id: member.identity for member in identified.members.all()}
    identities.name(homes["t000"], "Ada L.")
    with pytest.raises(ReseenError, match="somebody else is called Ada L"):
        identities.name(homes["t001"], "Ada L.")
    identities.name("Ada L.", "Ada L.")
    identities.label("t001", ["t000"], same=True)  # ada's four and another's four
    identities.identify()
    assert len(identified.members.belonging_to(["Ada L."])) == 8
    log = (tmp_path / "gallery" / "log.jsonl").read_text(encoding="utf-8")
    assert [line.count('"what": "label"') for line in log.splitlines()].count(1) == 1
    assert '"what": "name"' in log
    assert "Ada" not in log  # it goes as those go who are called so


def test_nothing_stays_of_a_name_and_of_labels_when_those_are_forgotten_whom_they_were_on(
    identified, tmp_path
):
    identities = Identities(identified)
    (member,) = identified.members.of(["t000"])
    identities.name(member.identity, "Ada Lovelace")
    for match in ("t012", "t024", "t036"):
        identities.label("t000", [match], same=True)
    identities.take_back("t000", "t012")
    gone = tuple(each.id for each in identified.members.belonging_to(["Ada Lovelace"]))
    assert "t000" in gone
    identified.forget(Filter(ids=gone), at_once=True)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for text in (*gone, "Ada Lovelace"):
        assert not [path for path, content in files.items() if text.encode() in content]
