"""Tokens: who may look at a gallery's pages, and who may manage it."""

import secrets
import time
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery

Role = Literal["look", "manage"]

SETTING = "token "


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

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def all(self) -> list[Token]:
        """Every token that was ever made, by name."""
        kept = self._gallery.settings.all(SETTING)
        return [msgspec.convert(kept[name], Token) for name in sorted(kept)]

    def digest(self, token: str) -> str:
        """What a token that somebody brings comes down to here."""
        return self._gallery.digest(token)

    def new(self, name: str, role: Role) -> str:
        """Make a token of 192 random bits, which is known to the caller alone.

        Raises:
            ReseenError: the name has one; revoked ones keep theirs, so that the log is clear.
        """
        if not name or not name.isprintable() or len(name) > 100:
            raise ReseenError(f"{name!r} cannot be a token's name; say whose it is, such as anna")
        token = secrets.token_urlsafe(24)
        kept = Token(name, role, time.time(), None, self.digest(token))
        if not self._gallery.settings.add(SETTING + name, msgspec.to_builtins(kept)):
            raise ReseenError(f"there is or was a token called {name}; choose another name")
        self._gallery.logged("token", name=name, role=role)
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
        revoked = replace(valid[name], revoked=time.time())
        self._gallery.settings.set(SETTING + name, msgspec.to_builtins(revoked))
        self._gallery.logged("revoke token", name=name)
