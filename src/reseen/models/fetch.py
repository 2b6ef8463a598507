"""Loading network files: only when asked for by name, resumed, and checked before they count."""

import os
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, build_opener

from reseen.errors import ReseenError
from reseen.files import locked, sha256_of, sync, writing
from reseen.models.catalogue import Entry
from reseen.progress import progress

MIRROR_SETTING = "RESEEN_MIRROR"
"""Environment variable: an address under which all files lie as NAME.onnx."""

SECONDS_OF_SILENCE = 30
PARTIAL, NOTHING_LEFT = 206, 416
CHUNK = 1 << 20


def address_of(entry: Entry) -> str:
    """Where a file is loaded from: the mirror that is set, else where it was published."""
    mirror = os.environ.get(MIRROR_SETTING)
    address = f"{mirror.rstrip('/')}/{entry.name}.onnx" if mirror else entry.address
    if not address:
        raise ReseenError(
            f"{entry.name} is not published as a file; export it, and name it: --model FILE.onnx"
        )
    if not address.startswith(("https://", "http://")):
        raise ReseenError(f"{address} is no address of the web; correct {MIRROR_SETTING}")
    return address


def fetch(entry: Entry, sha256: str = "") -> Path:
    """Load a file, unless it is there; what an earlier attempt has loaded is kept.

    Proxies are those that the environment names (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).

    Args:
        sha256: what the user expects of a file whose SHA-256 nobody has published.

    Raises:
        ReseenError: it cannot be loaded or is another file, or nothing says which it must be.
    """
    expected, address = entry.sha256 or sha256.lower(), address_of(entry)
    if not expected:
        raise ReseenError(
            f"nobody has published the SHA-256 of {entry.name}, so it cannot be verified; if you"
            " know it, say --sha256"
        )
    if entry.path.is_file() and sha256_of(entry.path) == expected:
        return entry.path
    part = entry.path.with_name(f"{entry.name}.part")
    with locked(entry.path.parent):
        _load(entry, address, part)
        found = sha256_of(part)
        if found != expected:
            part.unlink()
            raise ReseenError(
                f"{address} gave other bytes than expected, SHA-256 {found}; nothing was kept"
            )
        part.replace(entry.path)
        sync(entry.path.parent)
    return entry.path


def _load(entry: Entry, address: str, part: Path) -> None:
    """Bring `part` to its full length, from where it ends."""
    done = part.stat().st_size if part.is_file() else 0
    answer = _answer(entry, address, done)
    if answer is None:
        return
    with answer:
        if answer.status != PARTIAL:
            done = 0  # a server that does not resume
        length = answer.headers["Content-Length"]
        total = entry.bytes if length is None else done + int(length)
        if entry.bytes not in (0, total):
            raise ReseenError(
                f"{address} offers {total:,} bytes where {entry.bytes:,} are expected;"
                f" is there another {entry.name} now, or a page in its place?"
            )
        with writing(part), part.open("ab" if done else "wb") as file:
            done += _copy(entry, answer, file, total, done)
    if done < total:
        raise ReseenError(
            f"{address} broke off after {done:,} of {total:,} bytes; the same command goes on there"
        )


def _answer(entry: Entry, address: str, done: int) -> Any:
    """The server's answer, None where nothing is left to load."""
    headers = {"User-Agent": "reseen"} | ({"Range": f"bytes={done}-"} if done else {})
    request = Request(address, headers=headers)
    try:
        return build_opener().open(request, timeout=SECONDS_OF_SILENCE)
    except (OSError, HTTPException) as error:
        if getattr(error, "code", None) == NOTHING_LEFT:
            return None
        reason = getattr(error, "reason", None) or error
        raise ReseenError(
            f"{address} cannot be reached ({reason}); set a proxy (HTTPS_PROXY) or a mirror"
            f" ({MIRROR_SETTING}), or load it elsewhere and put the file at {entry.path}"
        ) from error


def _copy(entry: Entry, answer: Any, file: IO[bytes], total: int, done: int) -> int:
    """Copy what the server sends; returns how many bytes came before it stopped."""
    count = 0
    with progress(f"loading {entry.name}", total or None, "bytes", done) as advance:
        while (not total or done + count < total) and (chunk := _received(answer)):
            file.write(chunk)
            count += len(chunk)
            advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return count


def _received(answer: Any) -> bytes:
    """The next bytes; none where the connection has ended, however it did."""
    try:
        return bytes(answer.read1(CHUNK))
    except (OSError, HTTPException):
        return b""
