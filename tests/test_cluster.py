"""Work on a Ray cluster: what may go wrong before it begins, and what Ray is asked for."""

import builtins
import os
import socket
import sys
from types import SimpleNamespace

import pytest

from reseen.cli import run
from reseen.cluster import RETRIES, unordered_on_ray
from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from tests.service import blocks


class TaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Cluster:
    """Stands for Ray: does at once what is asked for, and tells results in reverse order."""

    exceptions = SimpleNamespace(
        RayTaskError=TaskError, RayError=OSError, WorkerCrashedError=ConnectionError
    )

    def __init__(self) -> None:
        self.asked, self.waited, self.connected = {}, [], None

    def init(self, address, **_):
        self.connected = address

    def shutdown(self):
        self.connected = None

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, **asked):
        self.asked = asked
        return lambda work: SimpleNamespace(remote=lambda *given: (work, given))

    def wait(self, waiting):
        self.waited.append(len(waiting))
        return [waiting[-1]], waiting[:-1]

    def get(self, finished):
        work, given = finished
        try:
            return work(*given)
        except ReseenError as error:
            raise TaskError(error) from error


@pytest.fixture
def cluster(monkeypatch) -> Cluster:
    standing_in = Cluster()
    monkeypatch.setitem(sys.modules, "ray", standing_in)
    monkeypatch.setitem(sys.modules, "ray.exceptions", standing_in.exceptions)
    monkeypatch.setattr("reseen.cluster.take_one_core", lambda: None)
    return standing_in


def test_every_task_is_done_and_few_wait(cluster, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    found = list(unordered_on_ray(pow, ((2, power) for power in range(9)), gpus=0.5))
    assert sorted(found) == [2**power for power in range(9)]
    assert max(cluster.waited) == 4  # two for each processor
    assert cluster.asked == {"num_cpus": 1, "num_gpus": 0.5, "max_retries": RETRIES}
    assert cluster.connected is None
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def broken(number):
    raise ReseenError(f"{number} is broken")


def test_an_error_of_a_task_comes_through_as_it_is(cluster):
    with pytest.raises(ReseenError, match=r"^1 is broken$"):
        list(unordered_on_ray(broken, [(1,)]))
    assert cluster.connected is None


def fragile(number):
    if number == 1:
        raise ConnectionError("The worker died unexpectedly while executing this task.")
    return number


def test_a_task_that_dies_again_and_again_is_told_and_the_others_are_done(cluster):
    died = []
    found = unordered_on_ray(fragile, [(0,), (1,), (2,)], died=died.append)
    assert sorted(found) == [0, 2]
    assert died == [(1,)]
    with pytest.raises(ReseenError, match="gave up: The worker died"):
        list(unordered_on_ray(fragile, [(1,)]))


def test_a_lost_cluster_is_one_line(cluster, monkeypatch):
    def lost(_):
        raise OSError("the head is gone\nand more")

    monkeypatch.setattr(cluster, "wait", lost)
    with pytest.raises(ReseenError, match=r"gave up: the head is gone; what was done is kept"):
        list(unordered_on_ray(pow, [(2, 2)]))


def test_a_cluster_that_does_not_answer_is_told_at_once(cluster):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ReseenError, match=f"no Ray cluster answers at {address}"):
            list(unordered_on_ray(pow, [(2, 2)], address))
    with pytest.raises(ReseenError, match="answers at here:there"):
        list(unordered_on_ray(pow, [(2, 2)], "here:there"))
    assert cluster.connected is None


def test_a_cluster_that_wants_a_token_says_so(cluster, monkeypatch):
    def refused(*_, **__):
        raise RuntimeError("Unauthenticated: InvalidAuthToken: missing or incorrect")

    monkeypatch.setattr(cluster, "init", refused)
    with pytest.raises(ReseenError, match="wants its token: set RAY_AUTH_MODE=token"):
        list(unordered_on_ray(pow, [(2, 2)]))


def test_a_real_cluster_takes_videos_in_but_the_one_that_kills_its_readers(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: make cluster")
    monkeypatch.setattr("reseen.cluster.RETRIES", 0)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", "."]), prepend=os.pathsep)
    films = [("hall", 0), ("door", 9), ("yard", blocks.POISON)]
    paths = [str(blocks.film(tmp_path / f"{name}.avi", shift)) for name, shift in films]
    place = str(tmp_path / "people")
    words = ["ingest", *paths, "--camera-from", "{camera}.avi", "--gallery", place]
    words += ["--detector", "tests.service.blocks:find_or_die", "--model", "stripes"]
    assert run([*words, "--ray", "local"]) == 1
    gallery = Gallery.open(place)
    assert {entry.camera for entry in gallery.entries()} == {"hall", "door"}
    assert gallery.count() == 4
    assert [failure.camera for failure in gallery.videos.failures.all()] == ["yard"]


def test_the_command_names_the_missing_extra(tmp_path, monkeypatch, capsys):
    imported = builtins.__import__

    def without_ray(name, *given):
        if name == "ray":
            raise ImportError(name)
        return imported(name, *given)

    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_ray)
    monkeypatch.chdir(tmp_path)
    words = ["ingest", "a.avi", "--camera", "hall", "--gallery", "g", "--model", "stripes"]
    assert run([*words, "--ray", "auto"]) == 2
    assert "Ray is not installed: pip install 'reseen[ray]'" in capsys.readouterr().err
