"""What drawing clips costs a training step, what reading costs features, and training's memory.

Run as `python benchmarks/bench_training.py [--repeats N] [--memory-frames N]`. Both sides of a
ratio take turns, and the fastest turn of each counts. Each ratio is given of the time that passed,
which other work on the machine disturbs, and of processor time, which it does not; one thread
computes, so that both mean the same. What is freed is kept,
as a training keeps it: else the system's pages would be measured, too.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bench_prepare import anonymous_bytes
from torch import Tensor
from torch.nn import functional

from reseen.data.clips import FrameReader, middle_crop
from reseen.data.coding import FRAME_SHAPE
from reseen.data.store import FORMAT, FrameStore, Index, Recipe, Shard, shard_file
from reseen.data.tracklet import Split
from reseen.network import training
from reseen.network.batches import BatchSource, Job
from reseen.network.config import Config
from reseen.network.embed import CLIPS_AT_ONCE, tracklet_features
from reseen.network.model import PaperCnn, SpatialTemporalFusion
from reseen.parallel import keep_freed_memory

TIME_BOUND = 1.10
CONVOLUTIONS_BOUND = 1 / 0.85
MEMORY_BOUND = 2.0
LENGTH = 80
PEOPLE = 100
STEPS = 5
ALL_PAIRS = {"train": {"sampler": "pk", "people": 32, "clips": 2}, "clips": {"frames": 5}}
ROW = "{:66} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--memory-frames", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory(training.MOST_KEPT)
    configs = {name: Config.preset(name) for name in ("paper", "quick", "tuned")}
    configs["tuned, pk"] = Config.from_mapping(ALL_PAIRS, "benchmark", configs["tuned"])
    print(ROW.format("what", "measured", "bound", ""))
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", PEOPLE)
        fill(store.path)
        for name, config in configs.items():
            drawn, in_memory, bare = step_ways(store, config)
            ratios = ratios_of(drawn, in_memory, arguments.repeats)
            rows(f"step / step on a batch in memory, {name}", ratios)
            ratios = ratios_of(drawn, bare, arguments.repeats)
            rows(f"step / its convolutions alone, {name}", ratios, CONVOLUTIONS_BOUND)
        for augmentations in (1, 16):
            ratios = feature_ratios(store, augmentations, arguments.repeats)
            rows(
                f"features of tracklets / bare forward passes, augmentations: {augmentations}",
                ratios,
            )
        frames = arguments.memory_frames
        large = write_store(Path(folder) / "large", frames // (2 * LENGTH))
        gigabytes = peak_memory(large, Path(folder) / "run")
        row(f"peak memory of training on {len(large.frames):,} frames, GB", gigabytes, MEMORY_BOUND)


def row(what: str, measured: float, bound: float) -> None:
    verdict = "ok" if measured <= bound else "not ok"
    print(ROW.format(what, f"{measured:.2f}", f"{bound:.2f}", verdict), flush=True)


def rows(what: str, ratios: tuple[float, float], bound: float = TIME_BOUND) -> None:
    for clock, ratio in zip(("passed", "processor"), ratios, strict=True):
        row(f"{what}, {clock} time", ratio, bound)


def write_store(path: Path, people: int) -> FrameStore:
    """A store of people in two cameras whose frames take no space on disk until they are filled."""
    tracklets = range(2 * people)
    path.mkdir()
    shape = (len(tracklets) * LENGTH, *FRAME_SHAPE)
    np.lib.format.open_memmap(path / shard_file(0), mode="w+", dtype=np.uint8, shape=shape)
    Index(
        format=FORMAT,
        fingerprint="drawn",
        notes=(),
        left_out=(),
        frame_shape=FRAME_SHAPE,
        dtype="uint8",
        shards=(Shard(shape[0], "never checked"),),
        names=tuple(map(str, tracklets)),
        persons=tuple(1 + number // 2 for number in tracklets),
        cameras=tuple(1 + number % 2 for number in tracklets),
        lengths=(LENGTH,) * len(tracklets),
        splits=(Split(tuple(tracklets), (), ()),),
        recipe=Recipe("drawn", "lucas-kanade", "", {}),
    ).write(path)
    return FrameStore(path)


def fill(path: Path) -> None:
    """Give every frame some noise."""
    random = np.random.default_rng(0)
    frames = np.load(path / shard_file(0), mmap_mode="r+")
    for start in range(0, len(frames), LENGTH):
        frames[start : start + LENGTH] = random.integers(0, 256, (LENGTH, *FRAME_SHAPE), np.uint8)


def step_ways(store: FrameStore, config: Config) -> list[Callable[[], None]]:
    """Steps with sampling, reading, augmentation and dropout; on one ready batch; convolutions."""
    fabric = training.make_fabric()
    job = Job(Path("unused"), "full", tuple(range(len(store))), seed=0)
    source = BatchSource(fabric, store, config, [job])
    learner = training.make_learner(config, source.people, [job], store)
    optimiser = training.make_optimiser(learner, config.optimiser)
    module, moved = fabric.setup(learner, optimiser)
    (ready,) = source.batches(0, 1)

    def step(batch: object) -> None:
        training._step(fabric, module, moved, batch, config.optimiser.clamp)

    def drawn() -> None:
        for batch in source.batches(0, STEPS):
            step(batch)

    def in_memory() -> None:
        for _ in range(STEPS):
            step(ready)

    return [drawn, in_memory, convolutions(learner.network.trunk, ready.clips)]


def convolutions(trunk: PaperCnn, clips: Tensor) -> Callable[[], None]:
    """Forward and backward through each convolution by itself, on maps as large as a step's."""
    inputs = []
    maps = clips.flatten(0, 1)
    with torch.no_grad():
        for convolution in trunk.convolutions:
            inputs.append(maps)
            maps = functional.max_pool2d(convolution(maps), 2)
    for maps in inputs[1:]:  # the pictures need no gradient
        maps.requires_grad_()

    def passes() -> None:
        for _ in range(STEPS):
            for convolution, maps in zip(trunk.convolutions, inputs, strict=True):
                found = convolution(maps)
                wanted = [*convolution.parameters(), *([maps] if maps.requires_grad else [])]
                torch.autograd.grad(found, wanted, torch.ones_like(found))

    return passes


def feature_ratios(store: FrameStore, augmentations: int, repeats: int) -> tuple[float, float]:
    """Features of whole tracklets over the network's passes on clips that lie ready."""
    config = Config()
    config = replace(config, evaluation=replace(config.evaluation, augmentations=augmentations))
    network = SpatialTemporalFusion(config.network).eval()
    reader = FrameReader(store.frames, torch.device("cpu"))
    lengths = np.full(2, CLIPS_AT_ONCE * config.clips.frames)
    starts = np.array([0, lengths[0]])
    ready = middle_crop(torch.randn(CLIPS_AT_ONCE, config.clips.frames, *FRAME_SHAPE))

    def features() -> None:
        tracklet_features(network, reader, starts, lengths, "full", config)

    @torch.inference_mode()
    def passes() -> None:
        for _ in range(2 * augmentations):
            network(ready)

    return ratios_of(features, passes, repeats)


def ratios_of(
    work: Callable[[], None], bare: Callable[[], None], repeats: int
) -> tuple[float, float]:
    """The fastest of one over the fastest of the other, in turns, after one turn to warm up."""
    turns = np.array([(seconds(work), seconds(bare)) for _ in range(repeats + 1)][1:])
    fastest = turns.min(axis=0)  # (work or bare, passed or processor time)
    passed, processor = fastest[0] / fastest[1]
    return passed, processor


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Time that passed, and time that the processor worked for this process."""
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def peak_memory(store: FrameStore, run: Path) -> float:
    """Most anonymous memory while training, in GB: the mapped frames do not count."""
    settings = {"train": {"updates": 10, "pairs": 8}, "optimiser": {"name": "adam"}}
    ended, peak = threading.Event(), 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.02):
            peak = max(peak, anonymous_bytes(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        training.train(store, run, Config.from_mapping(settings, "benchmark"))
    finally:
        ended.set()
        watcher.join()
    return peak / 1e9


if __name__ == "__main__":
    main()
