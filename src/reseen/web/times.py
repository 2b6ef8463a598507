"""Seconds as people write them: a date and a clock time, or minutes into a recording."""

import re
from datetime import datetime

from reseen.errors import ReseenError

CLOCK_FROM = 1e8
"""Seconds from which a time counts since 1970 and not since a recording's beginning."""

NOT_KNOWN = "time not known"
DATES = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")
INTO_RECORDING = r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,6}(?:\.\d{1,6})?)"


def is_clock(seconds: float | None) -> bool:
    """Whether this is a moment in the world rather than in a recording."""
    return seconds is not None and seconds >= CLOCK_FROM


def moment(seconds: float | None) -> str:
    """A time: "2024-06-10 08:13:20" on this machine's clock, or "2:05.4" into the recording."""
    if seconds is None:
        return NOT_KNOWN
    if is_clock(seconds):
        try:
            return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
        except (OverflowError, ValueError, OSError):
            return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def span(start: float | None, end: float | None) -> str:
    """From when to when, with the date only once."""
    first, last = moment(start), moment(end)
    if first == last or end is None:
        return first
    if start is None:
        return f"until {last}"
    same_day = is_clock(start) and is_clock(end) and first[:10] == last[:10]
    return f"{first} to {last[11:] if same_day else last}"


def day(seconds: float | None) -> str:
    """The date, "10 June 2024"; empty for a time in a recording."""
    if not is_clock(seconds):
        return "" if seconds is not None else NOT_KNOWN.capitalize()
    date = datetime.strptime(moment(seconds)[:10], "%Y-%m-%d")
    return f"{date.day} {date:%B %Y}"


def time_of_day(seconds: float | None) -> str:
    """The time without its date."""
    return moment(seconds)[11:] if is_clock(seconds) else moment(seconds)


def seconds(text: str) -> float | None:
    """Read what `moment` writes, or what a browser's field for date and time sends.

    Args:
        text: "2024-06-10 08:13", "1:02:05", "2:05.4" or plain seconds; empty for no time.

    Raises:
        ReseenError: it is none of these.
    """
    text = text.strip().replace(" ", "T")
    if not text:
        return None
    if parts := re.fullmatch(INTO_RECORDING, text, re.ASCII):
        hours, minutes, rest = (float(part or 0) for part in parts.groups())
        return 3600 * hours + 60 * minutes + rest
    for form in DATES:
        try:
            return datetime.strptime(text, form).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    raise ReseenError(
        f"“{text[:40]}” is no time; write a date and time as 2024-06-10 08:13, "
        "or minutes and seconds into the recording as 2:05"
    )
