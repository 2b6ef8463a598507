"""What a training leaves on disk while it runs: checkpoints to go on from, and the loss."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from reseen.errors import ReseenError
from reseen.files import write_text, writing
from reseen.network.batches import Job
from reseen.network.checkpoint import LOG_FILE, below, load_weights, read_tensors, write_tensors
from reseen.network.losses import LossTerms

UPDATES_BETWEEN_LOGS = 10


class TrainingState:
    """What a checkpoint holds: weights and the optimiser's state, by name."""

    def __init__(
        self, learner: torch.nn.Module, optimiser: torch.optim.Optimizer, path: Path
    ) -> None:
        self.learner, self.optimiser, self.path = learner, optimiser, path
        self.trained = [name for name, value in learner.named_parameters() if value.requires_grad]

    def save(self, updates: int) -> None:
        """Write a checkpoint, unless a weight has stopped being finite."""
        tensors = {f"learner.{name}": value for name, value in self.learner.state_dict().items()}
        for name, value in tensors.items():
            if not value.isfinite().all():
                raise ReseenError(
                    f"{name} stopped being finite before update {updates}; {last_good(self.path)}"
                )
        for index, values in self.optimiser.state_dict()["state"].items():
            for key, value in values.items():
                if value is not None:
                    tensors[f"optimiser.{self.trained[index]}.{key}"] = value
        write_tensors(self.path, tensors, {"updates": str(updates)})

    def restore(self) -> int:
        """Go back to the checkpoint, where there is one.

        Returns:
            The number of updates done.
        """
        if not self.path.exists():
            return 0
        tensors, metadata = read_tensors(self.path)
        load_weights(self.learner, below("learner", tensors), self.path)
        try:
            state = self._optimiser_state(tensors)
            updates = int(metadata["updates"])
        except (KeyError, ValueError) as error:
            raise ReseenError(f"{self.path} is not a checkpoint of this training") from error
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        return updates

    def _optimiser_state(self, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """What the optimiser remembers of each trained parameter, by its number."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in below("optimiser", tensors).items():
            parameter, _, key = name.rpartition(".")
            state.setdefault(self.trained.index(parameter), {})[key] = value
        return state


def last_good(checkpoint: Path) -> str:
    """The end of a message: where to go on from after a failure."""
    if not checkpoint.exists():
        return "there is no checkpoint yet"
    updates = read_tensors(checkpoint)[1]["updates"]
    return f"the last good checkpoint is {checkpoint} after update {updates}"


class LossLog:
    """The loss of every update, in each job's `log.csv` and, where installed, TensorBoard.

    Values are fetched from the device once in several updates, so that it need not wait.
    """

    COLUMNS = ("update", *LossTerms._fields)

    def __init__(self, fabric: Fabric, jobs: Sequence[Job], checkpoint: Path, done: int) -> None:
        self.fabric, self.jobs, self.checkpoint, self.logged = fabric, jobs, checkpoint, done
        self.pending: list[Tensor] = []
        self.boards: list[Any] = []
        if fabric.is_global_zero:
            for job in jobs:
                _keep_rows(job.folder / LOG_FILE, self.COLUMNS, done)
            self.boards = [_tensorboard(job.folder) for job in jobs]

    def add(self, terms: LossTerms) -> None:
        """Note the loss of an update."""
        self.pending.append(torch.stack([term.detach() for term in terms]))  # (3,) or (3, K)
        if len(self.pending) >= UPDATES_BETWEEN_LOGS:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if not self.pending:
            return
        values = torch.stack(self.pending).to(torch.get_default_dtype())
        if self.fabric.world_size > 1:
            values = torch.as_tensor(self.fabric.all_reduce(values, reduce_op="mean"))
        losses = values.cpu().reshape(len(self.pending), 3, len(self.jobs)).numpy()
        self.pending = []
        for place, job in enumerate(self.jobs):
            rows = losses[:, :, place].tolist()
            self._require_finite(job, rows)
            if self.fabric.is_global_zero:
                self._write(job, rows, self.boards[place])
        self.logged += len(losses)

    def _require_finite(self, job: Job, rows: list[list[float]]) -> None:
        for update, terms in enumerate(rows, self.logged + 1):
            if not all(map(math.isfinite, terms)):
                named = ", ".join(
                    f"{name} {term:g}" for name, term in zip(LossTerms._fields, terms, strict=True)
                )
                raise ReseenError(
                    f"the loss of {job.folder} is not finite at update {update} ({named}); "
                    f"{last_good(self.checkpoint)}"
                )

    def _write(self, job: Job, rows: list[list[float]], board: Any) -> None:
        path = job.folder / LOG_FILE
        with writing(path), path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(
                (update, *terms) for update, terms in enumerate(rows, self.logged + 1)
            )
        if board is not None:
            for name, value in zip(LossTerms._fields, rows[-1], strict=True):
                board.add_scalar(f"loss/{name}", value, self.logged + len(rows))


def _keep_rows(path: Path, columns: tuple[str, ...], rows: int) -> None:
    """Cut a log to its first rows: later ones belong to updates that a kill has undone."""
    lines = path.read_text(encoding="utf-8").splitlines()[1 : rows + 1] if path.exists() else []
    write_text(path, "\n".join((",".join(columns), *lines)) + "\n")


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
