"""The commands about the network: train, finetune, embed, export."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from reseen.cli import options
from reseen.cli.options import save_result, within
from reseen.errors import many
from reseen.network.config import Config


def train(
    store: options.Store,
    *,
    out: Path,
    preset: options.Preset = "paper",  # noqa: ARG001 _fill_settings
    config: options.ConfigFile = None,  # noqa: ARG001 _fill_settings
    updates: options.Updates = None,
    seed: options.Seed = 0,
    part: Literal["full", "upper", "lower", "all"] = "full",
    trial: Annotated[int, within(0)] = 0,
    resume: bool = False,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    settings: options.Settings = None,
) -> None:
    """Train the network on a store, or three of them and the weights of their fusion.

    Args:
        out: The run folder.
        part: Body part to train on; all: the three networks and the weights of eq. (10).
        trial: Which of the store's splits.
        resume: Go on with the run in OUT, if there is one.
        precision: bf16-mixed: forward and backward pass in bfloat16.
        settings: Single settings, over preset and file.
    """
    from reseen.data.store import FrameStore
    from reseen.network.model import PartFusion
    from reseen.network.training import train

    parts = PartFusion.PARTS if part == "all" else (part,)
    run = train(
        FrameStore(store),
        out,
        with_updates(settings, updates),
        parts,
        trial=trial,
        seed=seed,
        resume=resume,
        precision=precision,
    )
    budget = run.config.train
    clips, pairs = (budget.updates * each for each in (budget.clips_a_step, budget.pairs_a_step))
    print(
        f"{run.path}: trained on {many(len(run.facts.people), 'person')}, {many(clips, 'clip')} in "
        f"{many(pairs, 'pair')} for each network, weights {run.identity}"
    )


def finetune(
    store: options.Store,
    *,
    out: Annotated[Path, options.Result],
    trial: Annotated[int, within(0)] = 0,
    seed: options.Seed = 0,
) -> None:
    """Fine-tune lite0's late blocks on a store of prepare --trunk lite0-maps.

    What comes out is a trunk like any other: prepare --trunk OUT, then train --preset modern.

    Args:
        out: The ONNX file.
        trial: Which of the store's splits.
    """
    from reseen.data.store import FrameStore
    from reseen.files import written_aside
    from reseen.models.lite0 import write_lite0
    from reseen.network.finetuning import finetune

    opened = FrameStore(store)
    with written_aside(out) as temporary:  # which refuses a place before minutes are spent
        write_lite0(finetune(opened, trial, seed), temporary)
    print(f"{out}: lite0, fine-tuned; use it as --trunk {out} or --model {out}")


def embed(
    run: options.RunFolder,
    store: options.Store,
    *,
    out: Annotated[Path, options.Result],
    feature: str | None = None,
) -> None:
    """Write the features of all tracklets of a store as Parquet.

    Args:
        out: The Parquet file: name, person, camera, feature.
        feature: spatial, temporal, fused, upper, lower or parts; by default the run's final
            feature.
    """
    from reseen.data.store import FrameStore
    from reseen.network.checkpoint import Run
    from reseen.network.embed import embed_all

    embeddings = embed_all(Run.open(run), FrameStore(store), feature)
    embeddings.save(out)
    print(f"{out}: {many(len(embeddings), 'feature')}")


def export(
    run: options.RunFolder, *, out: Annotated[Path, options.Result], json: options.Json = None
) -> None:
    """Write a run as ONNX, normalisation inside, and check it against PyTorch.

    Args:
        out: The ONNX file: frames (batch, 16, 5, 64, 48) uint8 in, feature (batch, 128) out; of a
            run on a trunk's vectors crops (batch, 3, height, width) from 0 to 255 in, the trunk
            inside. Beside it, the run's MODEL_CARD.md.
    """
    from reseen.network.checkpoint import Run
    from reseen.network.export import export_onnx

    difference = export_onnx(Run.open(run), out)
    save_result(json, {"difference": difference})
    print(f"{out}: differs from PyTorch by {difference:.1e} at most")


def with_updates(settings: Config | None, updates: int | None) -> Config:
    """The settings, with this number of optimiser steps where one is given."""
    chosen = settings or Config()
    if updates is None:
        return chosen
    return replace(chosen, train=replace(chosen.train, updates=updates))
