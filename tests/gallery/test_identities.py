"""Identities of a gallery of made-up vectors, whose people are known."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from reseen.errors import ConflictError, ReseenError
from reseen.evaluation.clustering import score_clustering
from reseen.gallery import table
from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import Identities
from reseen.gallery.records import Filter, NewTracklets
from reseen.gallery.registers import Members

CAMERAS = ("north", "south", "yard")


def walks(persons, seed=0, first=0, minutes=10.0):
    """A tracklet for each number of a person, seen for 5 s every so many minutes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(50, 16))
    vectors = centres[persons] + 0.25 * random.normal(size=(len(persons), 16))
    numbers = range(first, first + len(persons))
    tracklets = NewTracklets(
        ids=[f"t{number:03d}" for number in numbers],
        cameras=[CAMERAS[number % 3] for number in numbers],
        sources=["film"] * len(persons),
        starts=[60 * minutes * number for number in numbers],
        ends=[60 * minutes * number + 5 for number in numbers],
        frames=[8] * len(persons),
    )
    return tracklets, {"net": vectors.astype(np.float32)}


PERSONS = [number % 12 for number in range(48)]


@pytest.fixture
def gallery(tmp_path, make_calibration):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    opened.add_embedded(*walks(PERSONS))
    opened.settings.keep_calibration(make_calibration("net", intercept=12.0, slope=4.0))
    return opened


def groups(members):
    """The identities' members, each in one text: "t000 t012"."""
    found = {}
    for member in members:
        found.setdefault(member.identity, []).append(member.id)
    return {" ".join(sorted(ids)): identity for identity, ids in found.items()}


def of(person, turns=4):
    return " ".join(f"t{person + 12 * turn:03d}" for turn in range(turns))


def test_people_are_put_together(gallery):
    members = Identities(gallery).identify()
    assert groups(members).keys() == {of(person) for person in range(12)}
    assert all(0.5 < member.probability <= 1 for member in members)
    assert sorted(gallery.members.all(), key=lambda member: member.id) == members


def test_new_tracklets_join_as_if_all_had_been_grouped_again(gallery):
    before = groups(Identities(gallery).identify())
    gallery.add_embedded(*walks([3, 7, 20, 20, 21], seed=1, first=48))
    Identities(gallery).catch_up()
    joined = groups(gallery.members.all())
    expected = {of(person) for person in range(12) if person not in (3, 7)}
    expected |= {f"{of(3)} t048", f"{of(7)} t049", "t050 t051", "t052"}
    assert joined.keys() == expected
    assert joined[f"{of(3)} t048"] == before[of(3)]
    told = (Path(gallery.uri) / "log.jsonl").read_text()
    assert "search" not in told  # nobody has searched for anybody
    assert groups(Identities(gallery).identify()) == joined


def test_two_at_once_cannot_give_two_people_one_name(gallery, monkeypatch, tmp_path):
    members = Identities(gallery).identify()
    names = [groups(members)[of(person)] for person in (1, 2)]
    looked = threading.Barrier(2, timeout=0.3)
    belonging_to = Members.belonging_to

    def look(self, identities):
        found = belonging_to(self, identities)
        if identities == ["anna"]:
            with suppress(threading.BrokenBarrierError):
                looked.wait()  # until the other one has looked, too, where both may
        return found

    def name(identity):
        with suppress(ConflictError):
            Identities(Gallery.open(gallery.uri)).name(identity, "anna")

    monkeypatch.setattr(Members, "belonging_to", look)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(name, names))
    assert groups(gallery.members.belonging_to({"anna"})).keys() < {of(1), of(2)}


def test_in_a_gallery_that_may_only_be_read_nobody_is_labelled_or_named(gallery, monkeypatch):
    Identities(gallery).identify()
    monkeypatch.setattr(table.os, "access", lambda *_: False)
    monkeypatch.setattr(FileLock, "acquire", None)  # it would write
    reader = Identities(Gallery.open(gallery.uri))
    for change in (
        lambda: reader.label("t000", ["t012"], same=False),
        lambda: reader.name(gallery.members.all()[0].identity, "anna"),
        lambda: reader.take_back("t000", "t012"),
        reader.identify,
    ):
        with pytest.raises(ReseenError, match="may only be read"):
            change()


def test_labels_given_while_all_are_put_together_stay(gallery, monkeypatch):
    identities = Identities(gallery)
    identities.identify()
    grouped = Identities._grouped

    def interrupted(self, *arguments):
        monkeypatch.setattr(Identities, "_grouped", grouped)
        members = self._grouped(*arguments)
        Identities(gallery).label("t000", ["t012"], same=False)
        return members

    monkeypatch.setattr(Identities, "_grouped", interrupted)
    identities.identify()
    homes = {member.id: member.identity for member in gallery.members.all()}
    assert homes["t000"] != homes["t012"]


def test_a_label_moves_only_those_whom_it_concerns(gallery):
    identities = Identities(gallery)
    before = groups(identities.identify())
    gallery.labels.add("t000", "t012", same=False)
    gallery.labels.add("t001", "t002", same=True)
    changed = groups(identities.regroup(["t000", "t001", "t002"]))
    after = groups(gallery.members.all())
    both = " ".join(sorted(f"{of(1)} {of(2)}".split()))
    assert after[both] in (before[of(1)], before[of(2)])
    assert not [group for group in after if {"t000", "t012"} <= set(group.split())]
    assert " ".join(sorted(" ".join(changed).split())) == " ".join(
        sorted(f"{of(0)} {both}".split())
    )
    assert {of(person): before[of(person)] for person in range(3, 12)}.items() <= after.items()


def test_what_is_forgotten_is_in_no_identity(gallery):
    Identities(gallery).identify()
    gallery.forget(Filter(ids=("t000",)), at_once=True)
    assert "t000" not in {member.id for member in gallery.members.all()}
    assert of(0).removeprefix("t000 ") in groups(gallery.members.all())
    files = [path for path in Path(gallery.uri).rglob("*") if path.is_file()]
    assert not [path for path in files if b"t000" in path.read_bytes()]


def test_nobody_is_identified_without_a_calibration(tmp_path):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    opened.add_embedded(*walks(PERSONS))
    with pytest.raises(ReseenError, match=r"has no calibration of net.*--from-labels"):
        Identities(opened)


def test_identities_of_another_model_are_not_gone_on_with(gallery, make_calibration):
    Identities(gallery).identify()
    tracklets, embeddings = walks(PERSONS)
    gallery.add_embedded(tracklets, {"other": embeddings["net"]})
    gallery.settings.keep_calibration(make_calibration("other", intercept=12.0, slope=4.0))
    assert Identities(gallery).model == "net"
    with pytest.raises(ReseenError, match="nobody is identified by other"):
        Identities(gallery, "other").regroup(["t000"])
    Identities(gallery, "other").identify()
    assert Identities(gallery).model == "other"


def test_who_is_seen_twice_at_once_is_two_people(tmp_path, make_calibration):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    tracklets, embeddings = walks([0] * 6, minutes=0.02)  # a new one every 1.2 s
    opened.add_embedded(tracklets, embeddings)
    opened.settings.keep_calibration(make_calibration("net", intercept=12.0, slope=4.0))
    together = groups(Identities(opened).identify())
    for group in together:
        places = [int(id[1:]) for id in group.split()]
        assert not [
            (one, other)
            for one in places
            for other in places
            if 0 < other - one < 5 and (other - one) % 3 == 0
        ]
    opened.labels.add("t000", "t003", same=True)
    with pytest.raises(ReseenError, match="who would be in two places at once"):
        Identities(opened).identify()


def test_nobody_is_faster_than_the_way_that_is_given(tmp_path, make_calibration):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    opened.add_embedded(*walks([0, 0, 1, 1, 2, 2], minutes=1.0))
    opened.settings.keep_calibration(make_calibration("net", intercept=12.0, slope=4.0))
    assert len(groups(Identities(opened).identify())) == 3
    ways = {("north", "south"): 56.0}  # 55 s lie between one and the next
    apart = groups(Identities(opened, travel=ways).identify())
    assert apart.keys() == {"t000", "t001", "t002 t003", "t004 t005"}


def test_identities_agree_with_the_people(gallery):
    found = {member.id: member.identity for member in Identities(gallery).identify()}
    numbers = {name: number for number, name in enumerate(sorted(set(found.values())))}
    identities = np.array([numbers[found[f"t{place:03d}"]] for place in range(len(PERSONS))])
    assert score_clustering(identities, np.array(PERSONS)).bcubed_f1 == 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_to_identify_is_said(tmp_path, make_calibration, count):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    opened.settings.keep_calibration(make_calibration("net"))
    if count:
        opened.add_embedded(*walks([0]))
    with pytest.raises(ReseenError, match=r"add more|is empty"):
        Identities(opened).identify()
