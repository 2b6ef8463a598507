"""Scores of identities: of people who cannot be mistaken, of a chain, and against a plain loop."""

import json

import numpy as np
import pytest

from reseen.cli import run
from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError
from reseen.gallery.identity_scores import score_identities


def people(count, tracklets, spread, seed=0):
    random = np.random.default_rng(seed)
    persons = np.repeat(np.arange(1, count + 1), tracklets)
    centres = random.normal(size=(count + 1, 16))
    features = centres[persons] + spread * random.normal(size=(len(persons), 16))
    names = tuple(f"t{number}" for number in range(len(persons)))
    cameras = np.tile(np.arange(tracklets), count)
    return Embeddings(features.astype(np.float32), persons, cameras, names)


def test_people_who_cannot_be_mistaken_are_put_together_in_every_way():
    for scores, count in score_identities(people(40, 3, 0.05)).values():
        assert count == 40
        assert scores.bcubed_f1 == scores.hota == scores.idf1 == 1


def test_distractors_are_nobody():
    known = people(20, 2, 0.05)
    strangers = Embeddings(known.features + 9, 0 * known.persons, known.cameras, known.names)
    every = Embeddings(
        np.concatenate([known.features, strangers.features]),
        np.concatenate([known.persons, strangers.persons]),
        np.concatenate([known.cameras, strangers.cameras]),
        tuple(f"t{number}" for number in range(80)),
    )
    assert score_identities(every)["identify"][1] == 20


def test_single_linkage_chains_people_that_average_linkage_keeps_apart():
    found = score_identities(people(60, 4, 0.75, seed=3))
    precision = {way: scores.bcubed_precision for way, (scores, _) in found.items()}
    assert precision["identify"] > precision["single linkage"]


def test_three_people_cannot_be_halved():
    with pytest.raises(ReseenError, match="3 people cannot be halved"):
        score_identities(people(3, 2, 0.1))


def test_a_command_tells_how_identities_are_found(make_store, tmp_path, capsys):
    tracklets = [(person, camera, 3) for person in range(1, 41) for camera in (1, 2)]
    store = make_store(tracklets, {1, 2, 3, 4}, vectors=(6, 40))
    trained, scores = tmp_path / "run", tmp_path / "scores.json"
    train = ["train", store.path, "--out", trained, "--updates", 1, "--clips.frames", 2]
    assert run([str(word) for word in train]) == 0
    words = ["evaluate", trained, store.path, "--identities", "--json", scores]
    assert run([str(word) for word in words]) == 0
    told = capsys.readouterr().out
    assert "single linkage" in told
    found = json.loads(scores.read_text())["identities"]
    assert set(found) == {"identify", "single linkage", "threshold on distance"}
    assert all(0 <= each["hota"] <= 1 for each in found.values())
