"""Writing files so that a reader never sees half of one, reading them by type, checking them."""

import errno
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from reseen.errors import ReseenError
from reseen.times import show

Kind = TypeVar("Kind")

LOCK_FILE = ".reseen-lock"
"""Lies in a folder for as long as a process fills it, and says which one."""


def cannot_write(path: Path, error: OSError) -> ReseenError:
    """Name the reason why `path` could not be written."""
    if error.errno == errno.ENOSPC:
        return ReseenError(f"no space left on the disk for {path}; free some and start again")
    return ReseenError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one clear line."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def require_file(path: Path, done: str = "read") -> None:
    """Refuse what is there and no plain file: what a pipe or a device says may never end."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise ReseenError(f"cannot {done} {path}: it is {kind}; name a file")


def require_place(path: Path) -> None:
    """Refuse where no file could be written, before the minutes are spent that fill it."""
    with writing(path):
        require_file(path, "write")
        folder = next(each for each in path.absolute().parents if each.exists())
        probe = folder / f".{uuid4().hex}"
        probe.touch(exist_ok=False)
        probe.unlink()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`.

    The folder is made when missing.

    Raises:
        ReseenError: the disk is full or the folder cannot be written, or the path is no plain file,
            such as /dev/stdout, which the new file would replace. The old file stays.
    """
    with writing(path):
        require_file(path, "write")
        path = Path(os.path.realpath(path))  # a link stays, and what it leads to is written
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}{path.suffix}")
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder for as long as this one fills it.

    The system frees the lock of a process that died, however it died. The folder is made when
    missing, and removed again where nothing has come into it.

    Raises:
        ReseenError: another process fills the folder; it is named.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    made, file, holder = not folder.exists(), folder / LOCK_FILE, ""
    lock = FileLock(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        with suppress(OSError, ValueError):
            holder = file.read_text(encoding="utf-8")
        holder = holder if holder.isprintable() and holder else "another process"
        raise ReseenError(
            f"{folder} is being filled by {holder}; let it finish, or choose another folder"
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        if not isinstance(lock, SoftFileLock):  # which keeps notes of its own in the file
            since = show(time.time())
            with suppress(OSError):  # on a full disk it stays nameless
                file.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        yield
    finally:
        if not isinstance(lock, SoftFileLock):
            with suppress(OSError):  # not while it is open, on Windows
                file.unlink()
        lock.release()
        if made:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def claim(folder: Path, marker: str, mine: Mapping[str, Any] | None = None) -> bool:
    """Find out whether a folder is new, or holds what was begun there for the same purpose.

    Args:
        folder: may be missing; hidden files in it do not count.
        marker: the file by which a folder that was begun is known. The caller writes it.
        mine: what this JSON file must say; anything when None.

    Returns:
        Whether the marker is there: False for a folder that is new.

    Raises:
        ReseenError: the folder holds something else, or was begun for another purpose.
    """
    if not (folder / marker).exists():
        with writing(folder):
            names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        if any(name[0] != "." for name in names):
            raise ReseenError(
                f"{folder} is not empty and holds no {marker}; choose another folder or empty it"
            )
        return False
    if mine is None:
        return True
    found, wanted = read_json(folder / marker), json.loads(json.dumps(mine))
    if not isinstance(found, dict):
        raise ReseenError(f"{folder / marker} is damaged; remove {folder} and start again")
    for name in wanted | found:
        if name not in found or name not in wanted or found[name] != wanted[name]:
            raise ReseenError(
                f"{folder} was made with another {name} (see {marker} there); remove it or choose "
                "another folder"
            )
    return True


def sync(path: Path) -> None:
    """Force a file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_unicode(*texts: str) -> None:
    """Refuse names that are not UTF-8: no database, list or page could hold them."""
    for text in texts:
        if not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise ReseenError(f"{text}: this name is not UTF-8; rename it")


def digest_of(path: Path) -> str:
    """A text that changes whenever a byte of the file does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).hexdigest()[:32]


def sha256_of(*paths: Path) -> str:
    """The SHA-256 of files, one behind the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            require_file(path)
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        except OSError as error:
            raise ReseenError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, in which paths are texts, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=os.fspath)
    write_text(path, text + "\n")


def read_file(path: Path) -> bytes:
    """The content of a plain file."""
    try:
        require_file(path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ReseenError(f"{path} does not exist") from error
    except OSError as error:
        raise ReseenError(f"{path} cannot be read: {error.strerror}") from error


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The content of a plain text file."""
    try:
        return read_file(path).decode(encoding)
    except UnicodeDecodeError as error:
        raise ReseenError(f"{path} cannot be read as text: {error}") from error


def read_json(path: Path) -> Any:
    """Read a JSON document."""
    try:
        return msgspec.json.decode(read_file(path))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ReseenError(f"{path} cannot be read as JSON: {error}") from error


def read_as(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """Read a JSON document that must be of a type.

    Args:
        kind: a dataclass, a msgspec.Struct or a builtin type, with those of its parts.
        remedy: what the user can do about a damaged one.

    Raises:
        ReseenError: the file is missing, is not JSON or holds something else, and where in it.
    """
    return converted(read_json(path), kind, path, remedy)


def converted(value: Any, kind: type[Kind], where: object, remedy: str) -> Kind:
    """What JSON gave, as a type; arguments and errors as for `read_as`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ReseenError(f"{where} is damaged: {error}; {remedy}") from error


@dataclass(frozen=True)
class Fact:
    """One count of what a folder holds: the value published, None where none is, and that found."""

    name: str
    expected: int | str | None
    found: int | str

    @property
    def ok(self) -> bool:
        """Whether the folder holds what is published."""
        return self.expected is None or self.expected == self.found

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What is counted, the published and the found value, and a mark where they differ."""
        expected, found = (
            f"{value:,}" if isinstance(value, int) else value or ""
            for value in (self.expected, self.found)
        )
        return self.name, expected, found, "" if self.ok else "wrong"


@dataclass(frozen=True)
class CheckResult:
    """What a folder holds, and what is wrong with it.

    Attributes:
        facts: counts, beside the published ones where there are any.
        problems: what is missing or broken, a line each.
        notes: what one must know about how the folder was read, a sentence each.
    """

    facts: tuple[Fact, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every count is as published and nothing is broken."""
        return not self.problems and all(fact.ok for fact in self.facts)
