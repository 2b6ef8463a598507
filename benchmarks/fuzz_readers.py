"""The readers that fuzz.py attacks, with whole files for each."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from reseen import times
from reseen.data import store as stores
from reseen.data.datasets import load as load_dataset
from reseen.data.embeddings import Embeddings
from reseen.data.pictures import decode_picture
from reseen.data.prepare import prepare
from reseen.data.store import FrameStore, damaged_shards
from reseen.data.tracked import Listed, load_tracks
from reseen.errors import ReseenError
from reseen.evaluation.report import Report
from reseen.files import converted, read_as
from reseen.gallery.calibration import Calibration
from reseen.gallery.exports import delete_crops
from reseen.gallery.log import read_lines
from reseen.models.networks import style_beside
from reseen.network import checkpoint
from reseen.network.checkpoint import Run, RunFacts, read_tensors
from reseen.network.config import Config
from reseen.network.model import PartFusion
from reseen.tracking.detections import Detections
from reseen.tracking.detectors import journalled
from reseen.tracking.mot import read_boxes
from reseen.tracking.track import track


@dataclass(frozen=True)
class Reader:
    """A reader, whole inputs for it, and what makes a damaged document pass for an undamaged one.

    Attributes:
        read: reads the file in the folder; its name is `name`.
        content: whole files, one of which is damaged.
        seal: writes digests anew into a JSON document; None where there are none.
        paths: where in the folder each of the files lies, if not by its reader's name.
        held: whether digests hold what is read: whatever became of the bytes, it is the same as
            from the undamaged file, or refused.
    """

    name: str
    content: tuple[bytes, ...]
    read: Callable[[Path], object]
    seal: Callable[[Any], Any] | None = None
    paths: tuple[str, ...] = ()
    held: bool = False


def _sealed_index(document: Any) -> Any:
    if isinstance(document, dict):
        document.pop("digest", None)
        document = {"digest": stores._text_digest(document), **document}
    return document


def _sealed_facts(document: Any) -> Any:
    if isinstance(document, dict):
        try:
            facts = converted(
                {name: document[name] for name in RunFacts.__annotations__}, RunFacts, "", ""
            )
            document["digest"] = checkpoint._digest(json.dumps(asdict(facts)))
        except (KeyError, ReseenError):
            pass
    return document


def stored(folder: Path) -> object:
    """All that a store holds, as `check store` and training read it."""
    found = FrameStore(folder)
    if wrong := list(damaged_shards(folder)):
        raise ReseenError(wrong[0])
    frames = found.frames[np.arange(int(found.lengths.sum()))]
    facts = found.dataset, found.flow, found.fingerprint, found.notes, found.names, found.splits
    numbers = found.persons, found.cameras, found.starts, found.lengths, np.asarray(frames)
    return facts, [each.tobytes() for each in numbers]


def trained(folder: Path) -> object:
    """All that a run holds."""
    found, (tensors, metadata) = Run.open(folder), read_tensors(folder / "w.safetensors")
    weights = {name: each.numpy().tobytes() for name, each in tensors.items()}
    return found.config, found.facts, weights, metadata, found.part_fusion().weights.tolist()


def embedded(path: Path) -> object:
    """All that a file of features holds."""
    found = Embeddings.load(path)
    numbers = found.features, found.persons, found.cameras
    return found.names, [each.tobytes() for each in numbers]


def _pictures() -> tuple[bytes, ...]:
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    kinds = (".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm")
    return tuple(cv2.imencode(kind, picture)[1].tobytes() for kind in kinds)


def _tracked(place: Path) -> dict[str, bytes]:
    """What `track` writes about a short film of noise."""
    (place / "film").mkdir()
    for frame in range(12):
        (place / "film" / f"{frame:03}.jpg").write_bytes(_pictures()[1])
    boxes = [f"{frame},{who},{10 + who},3,9,20,1" for frame in range(1, 13) for who in (1, 2)]
    (place / "boxes.txt").write_text("\n".join(boxes))
    track(place / "film", "door", place / "out", boxes=place / "boxes.txt", min_length=1)
    return {path.name: path.read_bytes() for path in (place / "out").iterdir() if path.is_file()}


def readers(place: Path) -> list[Reader]:  # noqa: C901, a list of small functions
    """Every reader, with whole files made in the folder `place`."""
    for person in range(8):
        for camera in "ab":
            folder = place / "people" / str(person) / camera
            folder.mkdir(parents=True)
            for frame in range(3):
                (folder / f"{frame}.jpg").write_bytes(_pictures()[1])
    store = prepare(load_dataset("folder", place / "people"), place / "store")
    facts = RunFacts("d", "s", "dis", (5, 64, 48), 0, 0, ("full",), (1, 2), (3,), {"torch": "2"})
    run = Run.create(place / "run", Config(), facts)
    checkpoint.write_tensors(
        run.path / "w.safetensors",
        {"network.start": torch.zeros(3, 4)},
        {"updates": "3"},
    )
    run.save_part_fusion(PartFusion())
    numbers = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    rows = np.arange(6)
    Embeddings(numbers, rows, rows % 2, tuple("abcdef")).save(place / "e.parquet")
    listed = _tracked(place)
    score = {"curve": [0.5] * 20, "mAP": 0.5, "mINP": 0.5, "queries": 3, "unscored": 0}
    score |= {"effective_queries": 3, "chance_level": [0.1] * 20}
    report = {
        "dataset": "d",
        "protocol": "p",
        "trials": [{"trial": 0, "features": {"fused": score}}],
    }
    calibration = {"model": "m", "intercept": 1, "slope": 2, "prior": 0.1, "people": 3}
    calibration |= {
        "same_pairs": 9,
        "different_pairs": 9,
        "equal_error_rate": 0.1,
        "held_out": None,
    }
    calibration["rates"] = [
        {"distance": 1, "probability": 0.5, "false_accept": 0.1, "false_reject": 0.1}
    ]
    boxes = "\n".join(f"{frame},1,10,20,30,60,0.9,1,1" for frame in range(1, 15)).encode()
    box = {"frame": 1, "bbox": [1, 2, 30, 60], "score": 0.9, "track_id": 7}
    images = [{"id": 4, "file_name": "a.jpg"}]
    coco = {"images": images, "categories": [{"id": 1, "name": "person"}]}
    coco["annotations"] = [{"image_id": 4, "id": 1, "category_id": 1, "bbox": [1, 2, 30, 60]}]
    cvat = b"""<?xml version="1.0"?><annotations><track id="0" label="person"><box frame="0"
        outside="0" xtl="1" ytl="2" xbr="30" ybr="60"/></track></annotations>"""
    synthetic = {"people": 8, "cameras": 2, "seed": 0, "difficulty": {"twins": 0.2}}
    journal = b"".join(
        json.dumps(line).encode() + b"\n"
        for line in ({"detector": "d"}, [0, [[1, 2, 30, 60]], [0.9]], [2, [], []])
    )

    def beside(path: Path) -> object:
        return style_beside(path.parent / "net.onnx", "ab", (256, 128))

    def in_tracks(use: Callable[[Path], object]) -> Callable[[Path], object]:
        def read(path: Path) -> object:
            for entry in (place / "out").iterdir():
                if not entry.name.startswith(".") and not (path.parent / entry.name).exists():
                    copy = shutil.copytree if entry.is_dir() else shutil.copy
                    copy(entry, path.parent / entry.name)
            return use(path.parent)

        return read

    live = json.loads(listed["tracklets.json"])
    live |= {"source": "rtsp://a/b", "start": "2026-05-01T12:00:00+00:00"}
    first = sorted(path.name for path in (place / "out").iterdir() if path.is_dir())[0]

    def in_folder(whole: Path, read: Callable[[Path], object]) -> Callable[[Path], object]:
        def linked(path: Path) -> object:
            for other in whole.iterdir():
                if not (path.parent / other.name).exists():
                    (path.parent / other.name).symlink_to(other)
            return read(path.parent)

        return linked

    def both(folder: Path) -> object:
        return FrameStore(folder), list(damaged_shards(folder))

    def written_store(path: Path) -> object:
        return in_folder(store.path, stored)(path)

    def written_run(path: Path) -> object:
        return in_folder(run.path, trained)(path)

    def config_sealed(path: Path) -> object:
        text = path.read_bytes()
        head = hashlib.blake2b(text, digest_size=16).hexdigest()
        path.write_bytes(b"# digest " + head.encode() + b"\n" + text)
        return in_folder(run.path, Run.open)(path)

    def again(path: Path) -> object:
        return journalled(lambda _: Detections.of([], []), path, {"detector": "d"})

    def shard(path: Path) -> object:
        return in_folder(store.path, both)(path)

    whole_store = sorted(path for path in store.path.iterdir() if path.suffix in (".json", ".npy"))
    whole_run = [run.path / name for name in ("run.json", "config.toml", "parts.json")]
    whole_run.append(run.path / "w.safetensors")
    toml = run.config.to_toml().encode()
    sidecar = {"sha256": "ab", "img_size": [256, 128], "preprocess": "resize"}
    own = {"input_size": [256, 128], "mean": [0.1] * 3, "std": [0.2] * 3, "to_rgb": True}

    def encoded(*documents: Any) -> tuple[bytes, ...]:
        return tuple(json.dumps(document).encode() for document in documents)

    def file(path: Path) -> bytes:
        return path.read_bytes()

    return [
        Reader("store.json", (file(store.path / "store.json"),),
               in_folder(store.path, both), _sealed_index),
        Reader("frames-0000.npy", (file(store.path / "frames-0000.npy")[:400],), shard),
        Reader("run.json", (file(run.path / "run.json"),), in_folder(run.path, Run.open),
               _sealed_facts),
        Reader("config.toml", (toml,), config_sealed),
        Reader("settings.toml", (toml, b"[train]\nupdates = 3\n"), Config.load),
        Reader("parts.json", encoded({"full": 0.5, "upper": 0.3, "lower": 0.2}),
               in_folder(run.path, lambda folder: Run.open(folder).part_fusion())),
        Reader("w.safetensors", (file(run.path / "w.safetensors"),), read_tensors),
        Reader("e.parquet", (file(place / "e.parquet"),), Embeddings.load),
        Reader("store", tuple(map(file, whole_store)), written_store,
               paths=tuple(path.name for path in whole_store), held=True),
        Reader("run", tuple(map(file, whole_run)), written_run,
               paths=tuple(path.name for path in whole_run), held=True),
        Reader("embeddings", (file(place / "e.parquet"),), embedded, held=True),
        Reader("tracklets.json", (listed["tracklets.json"],), in_tracks(load_tracks)),
        Reader("tracklets.json to forget", (listed["tracklets.json"],),
               in_tracks(lambda folder: delete_crops(folder / first))),
        Reader("tracks.txt", (listed["tracks.txt"],),
               in_tracks(lambda folder: delete_crops(folder / first))),
        Reader("tracklets.json to go on", encoded(live),
               in_tracks(Listed.read)),
        Reader("boxes.txt", (boxes, b"frame,id,x1,y1,x2,y2,conf\n1,2,3,4,50,60,.5\n"), read_boxes),
        Reader("boxes.json", encoded([box, box | {"track_id": 8}], coco), read_boxes),
        Reader("boxes.xml", (cvat,), read_boxes),
        Reader("report.json", encoded(report), Report.load),
        Reader("calibration.json", encoded(calibration),
               lambda path: read_as(path, Calibration, "calibrate again")),
        Reader("net.onnx.metadata.json", encoded(sidecar), beside),
        Reader("reid_config.json", encoded(own), beside),
        Reader("picture", _pictures(), lambda path: decode_picture(path.read_bytes(), "it")),
        Reader("time", (b"2026-05-01 12:00:00+02:00", b"1:02:05.4", b"125"),
               lambda path: times.show(times.read(path.read_bytes().decode(errors="replace")))),
        Reader("log.jsonl", (b'{"time": 1, "what": "search"}\n' * 3,),
               lambda path: list(read_lines(path))),
        Reader("synthetic.json", encoded(synthetic),
               in_folder(place / "people", lambda folder: load_dataset("folder", folder))),
        Reader("journal.jsonl", (journal,), again),
    ]  # fmt: skip
