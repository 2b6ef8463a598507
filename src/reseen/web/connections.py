"""Connections that can't be held open against everybody else, and a log that can't be filled."""

import logging
import resource
import time
from asyncio import BaseTransport, TimerHandle
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SENDING = "sending"
PATIENCE: dict[Any, float] = {h11.IDLE: 10.0, h11.SEND_BODY: 60.0, SENDING: 60.0}
"""Seconds that a client may take for a request's head and its body, and to take in an answer."""

_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
_EIGHTH = (1024 if _FILES == resource.RLIM_INFINITY else min(_FILES, 1024)) // 8
MOST_IN_ALL, MOST_OF_ONE_CLIENT, BACKLOG = 3 * _EIGHTH, 2 * _EIGHTH, 2 * _EIGHTH
"""Connections held, held for one client, and accepted at once: at most 5 of 8 files that this
process may open, so that the gallery can still open its own."""

SECONDS_BETWEEN_EQUAL_LINES = 60.0


class Connection(H11Protocol):
    """A connection that ends when its client keeps the server waiting for too long.

    Where there are too many, the one that has been waited for the longest makes room: whoever
    asks at once is answered, however many others hold theirs open. (uvicorn's own
    `limit_concurrency` would refuse whoever comes last.)
    """

    client_name: str
    waiting_since = float("inf")  # never, while the server works
    _stage: Any = None
    _timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, and make room for it."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.client_name = client_name(self.client[0] if self.client else "")
        self._watch()
        everybody = [each for each in self.connections if isinstance(each, Connection)]
        of_client = [each for each in everybody if each.client_name == self.client_name]
        if len(of_client) > MOST_OF_ONE_CLIENT:
            _end_one(of_client)
        elif len(everybody) > MOST_IN_ALL:
            _end_one(everybody)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait until the client has taken in what was sent."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self._watch()

    def end(self) -> None:
        """Cut it off, and count it no longer."""
        self._stop_waiting()
        self.connections.discard(self)
        self.transport.abort()

    def _watch(self) -> None:
        """Give the client its time for what it has to do next."""
        stage = SENDING if self.flow.write_paused else self.conn.their_state
        if stage is self._stage or self.transport.is_closing():
            return
        self._stop_waiting()
        self._stage = stage
        if stage in PATIENCE:
            self.waiting_since = self.loop.time()
            self._timer = self.loop.call_later(PATIENCE[stage], self.end)

    def _stop_waiting(self) -> None:
        self.waiting_since = float("inf")
        if self._timer is not None:
            self._timer.cancel()


def client_name(address: str) -> str:
    """Whom to count: a client of IPv6 has a network of 2^64 addresses, not only one."""
    try:
        number = ip_address(address)
    except ValueError:
        return address
    if not isinstance(number, IPv6Address):
        return address
    return str(number.ipv4_mapped or ip_network((int(number), 64), strict=False))


class Seldom(logging.Filter):
    """Lets lines that begin alike through once a minute, with how many were left out.

    Args:
        clock: how to tell the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let one through."""
        line, now = str(record.msg).partition("\n")[0], self._clock()
        last, left_out = self._said.get(line, (float("-inf"), 0))
        if now - last < SECONDS_BETWEEN_EQUAL_LINES:
            self._said[line] = last, left_out + 1
            return False
        self._said[line] = now, 0
        if left_out:
            record.msg = f"{record.msg} ({left_out:,} more since this was last said)"
        return True


def _end_one(connections: Iterable[Connection]) -> None:
    min(connections, key=lambda each: each.waiting_since).end()
