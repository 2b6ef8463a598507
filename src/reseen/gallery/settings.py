"""What all who use a gallery must agree on: retention, calibrations, tokens, the digests' salt."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import msgspec
import pyarrow
from lancedb.expr import Expr, col

from reseen.errors import ReseenError
from reseen.gallery.calibration import Calibration
from reseen.gallery.table import Database, schema_of, unpacked

NAME = "settings"
CALIBRATION, TOKEN = "calibration ", "token "
"""What the names of such settings begin with."""

Kind = TypeVar("Kind")


class Settings:
    """Settings of a gallery by name, each a JSON text in a table of its database."""

    def __init__(self, database: Database, logged: Callable[..., None]) -> None:
        self._table = database.table(NAME, schema_of("name", value=pyarrow.string()))
        self._logged = logged
        self._salt: str | None = None

    def get(self, name: str, kind: type[Kind]) -> Kind | None:
        """A setting's value, which is of a kind; None where it is not set."""
        return self.all(name, kind, col("name") == name).get("")

    def all(self, prefix: str, kind: type[Kind], where: Expr | None = None) -> dict[str, Kind]:
        """The values of all settings that are set and whose names begin so, by the rest."""
        rows = self._table.read(["value"], where, order_by=["name"]).to_pylist()
        return {
            row["name"].removeprefix(prefix): unpacked(row["value"], kind, f"setting {row['name']}")
            for row in rows
            if row["name"].startswith(prefix) and row["value"] != "null"
        }

    def set(self, name: str, value: Any, *, new: bool = False) -> bool:
        """Set it for everybody; where it must be `new`, only if it was never set.

        Returns:
            Whether it was new, to one of many who try.
        """
        row = {"name": name, "value": msgspec.json.encode(value).decode()}
        return self._table.put([row], replace=not new) > 0

    @property
    def retention_days(self) -> float | None:
        """How many days after a person was seen a tracklet is forgotten; None for never."""
        return self.get("retention_days", float)

    @property
    def log_days(self) -> float | None:
        """How many days a line of the log is kept; None for ever."""
        return self.get("log_days", float)

    def set_retention_days(self, days: float | None) -> None:
        """Change for how long tracklets are kept; None keeps them for ever."""
        self.set("retention_days", _checked_days(days))
        self._logged("retention", days=days)

    def set_log_days(self, days: float | None) -> None:
        """Change for how long lines of the log are kept; None keeps them for ever."""
        self.set("log_days", _checked_days(days))
        self._logged("log retention", days=days)

    def calibration(self, model: str) -> Calibration | None:
        """The model's calibration; None where there is none: no probability may then be shown."""
        return self.get(CALIBRATION + model, Calibration)

    def keep_calibration(self, calibration: Calibration) -> None:
        """Give probabilities to this model's distances from now on."""
        self.set(CALIBRATION + checked_model(calibration.model), calibration)

    def calibrations(self) -> list[Calibration]:
        """Every model's calibration."""
        return list(self.all(CALIBRATION, Calibration).values())

    def drop_calibration(self, model: str) -> None:
        """Give this model's distances no probabilities any more."""
        known = self.all(CALIBRATION, Calibration)
        if model not in known:
            raise ReseenError(
                f"{model} has no calibration here; calibrated: {', '.join(known) or 'none'}"
            )
        self.set(CALIBRATION + model, None)

    def digest(self, text: str) -> str:
        """What a text comes down to here and in no other gallery."""
        self._salt = self._salt or self.get("salt", str)
        if self._salt is None:
            self.set("salt", secrets.token_hex(16), new=True)
            self._salt = self.get("salt", str)
        return hashlib.sha256(f"{self._salt} {text}".encode()).hexdigest()


def _checked_days(days: float | None) -> float | None:
    if days is not None and not 0 < days < 1e6:
        raise ReseenError(f"a retention period must be more than 0 days, not {days}")
    return days


def checked_model(model: str) -> str:
    """The model id, which must be fit for a table's name."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", model):
        raise ReseenError(f"{model!r} cannot be a model's id: letters, digits, dots, - and _ only")
    return model


def base_of(model: str) -> str:
    """The model whose embeddings were adapted to the gallery; the model itself where not."""
    return re.sub(r"\.adapted-\d+$", "", model)


def version_of(model: str) -> int:
    """The number of an adaptation; 0 for a model that is none."""
    return int(model.rpartition("-")[2]) if model != base_of(model) else 0


Role = Literal["look", "manage"]


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; not the token itself.

    Attributes:
        name: whose it is; stands in the log beside what is done with it.
        role: "look" changes nothing, "manage" everything.
        made: when it was made, in seconds since 1970.
        revoked: since when it lets nobody in; None while it does.
        digest: what it comes down to in this gallery and in no other.
    """

    name: str
    role: Role
    made: float
    revoked: float | None
    digest: str


class Tokens:
    """The tokens of a gallery, among its settings."""

    def __init__(self, settings: Settings, logged: Callable[..., None]) -> None:
        self._settings, self._logged = settings, logged

    def all(self) -> list[Token]:
        """Every token that was ever made, by name."""
        return list(self._settings.all(TOKEN, Token).values())

    def digest(self, token: str) -> str:
        """What a token that somebody brings comes down to here."""
        return self._settings.digest(token)

    def new(self, name: str, role: Role) -> str:
        """Make a token of 192 random bits, which is known to the caller alone.

        Raises:
            ReseenError: the name has one; revoked ones keep theirs, so that the log is clear.
        """
        if not name or not name.isprintable() or len(name) > 100:
            raise ReseenError(f"{name!r} cannot be a token's name; say whose it is, such as anna")
        token = secrets.token_urlsafe(24)
        kept = Token(name, role, time.time(), None, self.digest(token))
        if not self._settings.set(TOKEN + name, kept, new=True):
            raise ReseenError(f"there is or was a token called {name}; choose another name")
        self._logged("token", name=name, role=role)
        return token

    def revoke(self, name: str) -> None:
        """Let nobody in by it any more.

        Raises:
            ReseenError: there is no such token, or it was revoked before.
        """
        valid = {token.name: token for token in self.all() if token.revoked is None}
        if name not in valid:
            listed = ", ".join(valid) or "none"
            raise ReseenError(f"no token called {name} is valid here; valid: {listed}")
        self._settings.set(TOKEN + name, replace(valid[name], revoked=time.time()))
        self._logged("revoke token", name=name)
