"""What lies beside a gallery's table: its log, marks, calibrations and settings."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import read_json, write_json
from reseen.gallery.calibration import Calibration
from reseen.gallery.marks import Marks
from reseen.gallery.privacy import append_line
from reseen.gallery.records import Filter


class Notes:
    """A folder with `log.jsonl`, `marks.jsonl`, `settings.json` and `calibrations/`.

    Attributes:
        folder: where they lie.
        marks: verdicts on matches.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = Marks(folder / "marks.jsonl")

    def log(self, what: str, where: Filter | None = None, **facts: Any) -> None:
        """Append to the log what is about to be done or was done."""
        set_ = {} if where is None else asdict(where)
        filled = {name: value for name, value in set_.items() if value not in (None, ())}
        append_line(self.folder / "log.jsonl", {"what": what, "where": filled, **facts})

    @property
    def retention_days(self) -> float | None:
        """How many days after it was added a tracklet is forgotten; None for never."""
        settings = self.folder / "settings.json"
        if not settings.exists():
            return None
        days = read_json(settings).get("retention_days")
        return None if days is None else float(days)

    def set_retention_days(self, days: float | None) -> None:
        """Change the retention period; None keeps tracklets for ever.

        Raises:
            ReseenError: the period is not positive.
        """
        if days is not None and not days > 0:
            raise ReseenError(f"a retention period must be more than 0 days, not {days}")
        self.log("retention", days=days)
        write_json(self.folder / "settings.json", {"retention_days": days})

    def calibration(self, model: str) -> Calibration | None:
        """The model's calibration; None where there is none, so that no chance may be shown.

        Raises:
            ReseenError: the file is damaged or another model's.
        """
        path = self._calibration_path(model)
        if not path.exists():
            return None
        calibration = Calibration.load(path)
        if calibration.model != model:
            raise ReseenError(f"{path} is the calibration of {calibration.model}, not of {model}")
        return calibration

    def keep_calibration(self, calibration: Calibration) -> None:
        """Give chances to this model's distances from now on."""
        calibration.save(self._calibration_path(calibration.model))

    def _calibration_path(self, model: str) -> Path:
        return self.folder / "calibrations" / f"{checked_model(model)}.json"


def checked_model(model: str) -> str:
    """The model id, which must be fit for a file name.

    Raises:
        ReseenError: it is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", model):
        raise ReseenError(f"{model!r} cannot be a model's id: letters, digits, dots, - and _ only")
    return model
