"""Whole programs that fuzz.py attacks: networks, videos, galleries, commands and requests."""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from fastapi.testclient import TestClient
from fuzz_readers import Reader

from reseen.cli import run
from reseen.errors import ReseenError
from reseen.gallery.calibration import Calibration, Rates
from reseen.gallery.extractors import open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.integrity import HINT
from reseen.gallery.registers import Member
from reseen.tracking.onnx import OnnxDetector
from reseen.tracking.video import frames_from
from reseen.web import api
from reseen.web.app import create_app

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests write small networks
from tests.tracking.test_onnx import PERSON_ROW, write, yolox

HERE = "http://127.0.0.1:8000"
PAGES = ("/tracklets", "/tracklet", "/compare", "/forget", "/labels", "/pictures", "/people")
ASKED = {"id": "a/1", "match": "b/1", "query": "a/1", "camera": "a", "not_camera": "b", "k": 3}
ASKED |= {"model": "stripes", "start": "2026-05-01", "end": "2026-06-01", "offset": 1, "limit": 5}
COMMANDS = [
    ["gallery", "list", "GALLERY", "--camera", "a", "--since", "2026-05-01", "--until", "12"],
    ["gallery", "forget", "GALLERY", "--camera", "a", "--now"],
    ["gallery", "forget", "GALLERY", "--id", "a-000001"],
    ["gallery", "keep", "GALLERY", "30"],
    ["gallery", "add", "GALLERY", "PEOPLE", "--prefix", "x", "--camera", "c", "--model", "stripes"],
    ["gallery", "stats", "GALLERY", "--json", "stats.json"],
    ["search", "GALLERY", "a-000001", "--model", "stripes", "--count", "3", "--at-least", "0.5"],
    ["search", "GALLERY", "--crops", "PEOPLE", "--camera", "a", "--not-camera", "b"],
    ["identify", "GALLERY", "--json", "people.json"],
    ["calibrate", "GALLERY", "--model", "stripes", "--root", "PEOPLE"],
    ["check", "gallery", "GALLERY"],
    ["track", "FILM", "--camera", "a", "--boxes", "BOXES", "--min-length", "3", "--out", "out"],
    ["ingest", "FILM", "--gallery", "GALLERY", "--camera", "a", "--every", "2"],
    ["prepare", "folder", "PEOPLE", "--out", "store", "--processes", "1"],
    ["synthesize", "made", "--people", "2", "--frames", "3", "--seed", "1", "--processes", "1"],
]  # fmt: skip


def programs(place: Path) -> list[Reader]:
    """Every program, with whole inputs made in the folder `place`."""
    made, film, boxes = place / "programs", place / "programs/film.avi", place / "programs/b.txt"
    _draw(made / "people", film, boxes)
    # In a process of its own: LanceDB's threads do not survive a fork.
    filling = multiprocessing.get_context("spawn").Process(target=_fill, args=(made,))
    filling.start()
    filling.join()
    trunk, detector = _trunk(made / "trunk.onnx"), _detector(made / "detector.onnx")
    whole = made / "gallery"
    lancedb = [
        path
        for path in whole.rglob("*")
        if path.is_file() and path.name not in (HINT, "log.jsonl", "lock")
    ]
    given = {
        "GALLERY": "gallery",
        "PEOPLE": str(made / "people"),
        "FILM": str(film),
        "BOXES": str(boxes),
    }

    def command(path: Path) -> object:
        shutil.copytree(whole, path.parent / "gallery")
        os.chdir(path.parent)
        return _command(path.read_bytes(), given)

    def embed(path: Path) -> object:
        return open_extractor(str(path), "raw").embed([[np.zeros((64, 32, 3), np.uint8)]])

    def detect(path: Path) -> object:
        return OnnxDetector(path)(np.zeros((90, 90, 3), np.uint8))

    def watch(path: Path) -> object:
        return list(frames_from(path))

    def ask(path: Path) -> object:
        return _request(path.read_bytes(), client, whole)

    requests = [
        [route.path, method, ASKED] for route in api.router.routes for method in route.methods
    ]
    requests += [[page, "GET", ASKED] for page in PAGES]
    client: list[TestClient] = []
    return [
        Reader("trunk.onnx", (trunk,), embed),
        Reader("detector.onnx", (detector,), detect),
        Reader("film.avi", (film.read_bytes(),), watch),
        Reader("film.mp4", (film.with_suffix(".mp4").read_bytes(),), watch),
        Reader("gallery", tuple(path.read_bytes() for path in lancedb), _gallery(whole),
               paths=tuple(str(path.relative_to(made)) for path in lancedb), held=True),
        Reader("command", tuple(json.dumps(words).encode() for words in COMMANDS), command),
        Reader("request", tuple(json.dumps(one).encode() for one in requests),
               ask),
    ]  # fmt: skip


def _fill(made: Path) -> None:
    """A gallery with something in every table."""
    run(["gallery", "add", str(made / "gallery"), str(made / "people"), "--model", "stripes"])
    gallery = Gallery.open(made / "gallery")
    one, two, three, _ = (entry.id for entry in gallery.entries())
    gallery.labels.add(one, two, same=True)
    gallery.members.put([Member(one, "ada", 0.9), Member(two, "ada", 0.9)])
    gallery.rejected.add([three], {})
    rates = Rates(1.0, 0.5, 0.1, 0.1)
    fitted = Calibration("stripes", 1.0, 2.0, 0.1, 3, 9, 9, 0.1, (rates,), None)
    gallery.settings.keep_calibration(fitted)
    gallery.optimise()


def _draw(people: Path, film: Path, boxes: Path) -> None:
    noise = np.random.default_rng(0)
    for folder in ("ada/a", "ada/b", "eve/a", "eve/b"):
        (people / folder).mkdir(parents=True)
        for frame in range(3):
            cv2.imwrite(
                str(people / folder / f"{frame}.jpg"), noise.integers(0, 256, (64, 32, 3), np.uint8)
            )
    for path, kind in ((film, "MJPG"), (film.with_suffix(".mp4"), "mp4v")):
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*kind), 10, (64, 64))
        for _ in range(30):
            writer.write(noise.integers(0, 256, (64, 64, 3), np.uint8))
        writer.release()
    boxes.write_text("\n".join(f"{frame},1,9,9,20,40,1" for frame in range(1, 31)))


def _trunk(path: Path) -> bytes:
    import onnx

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.ones((4, 3, 8, 8), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[8, 8]),
        helper.make_node("GlobalAveragePool", ["y"], ["z"]),
        helper.make_node("Flatten", ["z"], ["f"]),
    ]
    given = helper.make_tensor_value_info("x", kind, ("n", 3, 64, 32))
    found = helper.make_tensor_value_info("f", kind, ("n", 4))
    graph = helper.make_graph(nodes, "trunk", [given], [found], [weight])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path.read_bytes()


def _detector(path: Path) -> bytes:
    return write(path, {"output": yolox({10: PERSON_ROW})}).read_bytes()


def _gallery(whole: Path) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        folder = next(one for one in path.parents if one.name == "gallery")
        for entry in whole.rglob("*"):
            copy = folder / entry.relative_to(whole)
            if entry.is_file() and copy != path:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(entry, copy)
        gallery = Gallery.open(folder)
        told = not gallery.check().ok
        found = _held(gallery)
        gallery.search(gallery.query(gallery.entries()[0].id, "stripes"))
        gallery.forget(api.Filter(ids=(gallery.entries()[0].id,)), at_once=True)
        if told:
            raise ReseenError("it is told")
        return found

    return read


def _held(gallery: Gallery) -> object:
    """All that a gallery holds."""
    entries = gallery.entries()
    vectors = gallery.embeddings("stripes").to_pydict()
    said = gallery.labels.all(), gallery.members.all(), gallery.rejected.all()
    strips = gallery.thumbnails([entry.id for entry in entries])
    return entries, vectors, said, strips, gallery.settings.all("", object)


def _command(told: bytes, given: dict[str, str]) -> object:
    """Run a command in the folder where its gallery lies; whom it does not name stays."""
    try:
        words = json.loads(told)
    except (ValueError, RecursionError):
        words = ["gallery", "list", "GALLERY", "--camera", told.decode(errors="surrogateescape")]
    words = words if isinstance(words, list) else [words]
    said = [given.get(str(word), str(word).replace("\0", "")) for word in words]
    if said[:1] in (["demo"], ["serve"]):
        return None
    before = {entry.id: entry for entry in Gallery.open("gallery").entries()}
    code = run(said)
    assert code in (0, 1, 2), f"ended with {code}"
    after = {entry.id for entry in Gallery.open("gallery").entries()}
    gone = [entry for id, entry in before.items() if id not in after]
    assert not gone or "forget" in said or "keep" in said, "lost somebody"
    if "forget" in said:
        assert all({entry.id, entry.camera} & set(said) for entry in gone), "forgot others"
    return code


def _request(told: bytes, client: list[TestClient], whole: Path) -> object:
    """Ask for something; whatever it is, the server answers."""
    if not client:
        gallery = Gallery.open(whole)  # the readers before this one have copied it
        client.append(TestClient(create_app(gallery), HERE, follow_redirects=False))
    try:
        address, method, asked = json.loads(told)
    except (ValueError, TypeError, RecursionError):
        address, method, asked = "/api/tracklets", "GET", told.decode(errors="replace")
    fields = asked if isinstance(asked, dict) else {"id": asked}
    texts = {
        str(name): str(value)[:5_000].encode(errors="replace") for name, value in fields.items()
    }
    method = method if method in ("POST", "DELETE", "PUT") else "GET"
    body = {"content": json.dumps(asked), "headers": {"content-type": "application/json"}}
    options: dict[str, Any] = body if method == "POST" else {"params": texts}
    answer = client[0].request(
        method, "/" + quote(str(address).lstrip("/"), errors="replace"), **options
    )
    assert answer.status_code < 500, f"{answer.status_code} for {address}"
    return answer.status_code
