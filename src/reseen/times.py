"""The one clock: how a time is shown to people, and read from them.

A time is a number of seconds: since 1970 where a recording's beginning is known, else since that
beginning. Whatever `show` writes, `read` reads.
"""

import math
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

from reseen.errors import ReseenError

DATED_FROM, DATED_UNTIL = 1e8, 2.5e11
"""Seconds between which (the years 1973 and 9892) a time counts since 1970 and not since a
recording began."""

NOT_KNOWN = "time not known"
SECONDS = r"(-?)(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?: s)?"

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def booted() -> tuple[str, float] | None:
    """Which start of this machine this is, and when that was; None where no system tells.

    The second changes only when somebody or something sets the clock.
    """
    try:
        return BOOT_ID.read_text().strip(), time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):
        return None


def is_dated(seconds: float | None) -> bool:
    """Whether this is a moment in the world rather than in a recording."""
    return seconds is not None and DATED_FROM <= seconds < DATED_UNTIL


def show(seconds: float | None) -> str:
    """A time for people, rounded down to what is shown.

    Returns:
        "2026-05-01 12:00:00+02:00", this machine's local time with its offset from UTC, or
        "0:02:05.4", hours, minutes and seconds into the recording.
    """
    if seconds is None:
        return NOT_KNOWN
    if is_dated(seconds):
        return datetime.fromtimestamp(math.floor(seconds)).astimezone().isoformat(" ", "seconds")
    if not abs(seconds) < DATED_UNTIL:
        return f"{seconds!r} s"
    # Twice rounded, so that 125.4, which no float is, is not shown as 125.3.
    tenths = math.floor(round(abs(seconds) * 10, 3))
    minutes, rest = divmod(tenths, 600)
    sign = "-" if seconds < 0 < tenths else ""
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{rest / 10:04.1f}"


def span(start: float | None, end: float | None) -> str:
    """From when to when."""
    first, last = show(start), show(end)
    if first == last or end is None:
        return first
    return f"until {last}" if start is None else f"{first} to {last}"


def day(seconds: float | None) -> str:
    """The date, "10 June 2024"; empty for a time in a recording."""
    if not is_dated(seconds):
        return "" if seconds is not None else NOT_KNOWN.capitalize()
    date = datetime.fromisoformat(show(seconds))
    return f"{date.day} {date:%B %Y}"


def read(text: str) -> float:
    """Read a time as `show` writes it, or in another usual form.

    Args:
        text: "2026-05-01 12:00", with "T" for the blank, with seconds, with an offset such as
            "+02:00", "Z" or " UTC", or without one for this machine's local time (of an hour
            that a clock shows twice, its first one); "1:02:05.4" or "2:05" into a recording; or
            plain seconds.

    Raises:
        ReseenError: it is none of these, or a moment that local clocks jump over.
    """
    text = text.strip()
    if parts := re.fullmatch(SECONDS, text, re.ASCII):
        sign, *numbers = parts.groups("0")
        hours, minutes, rest = map(float, numbers)
        seconds = 3600 * hours + 60 * minutes + rest
        if math.isfinite(seconds):
            return -seconds if sign == "-" else seconds
    else:
        try:
            moment = datetime.fromisoformat(re.sub(" UTC$", "+00:00", text))
            seconds = moment.timestamp()
            if moment.tzinfo is not None:
                return seconds
            if abs(datetime.fromtimestamp(seconds) - moment) < timedelta(minutes=1):
                return seconds  # else clocks were put forward over this moment
        except (ValueError, OverflowError, OSError):
            pass
    raise ReseenError(
        f"“{text[:40]}” is no time; write 2026-05-01 12:00 (with +02:00 for another place's "
        "clock), or hours, minutes and seconds into the recording, 0:02:05.4"
    )
