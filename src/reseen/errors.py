"""The one exception that a user is meant to read, and the words of its message."""

import difflib
from collections.abc import Collection


class ReseenError(Exception):
    """A mistake or bad input that the user can mend.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    and ends with exit code 2.
    """


def nearest(name: str, known: Collection[str], prefix: str = "") -> str:
    """The end of a message: which known name was probably meant, or all of them."""
    close = difflib.get_close_matches(name.lower(), known, n=1)
    if close:
        return f"; did you mean {prefix + close[0]!r}?"
    return f"; there are {', '.join(prefix + key for key in known)}"


def many(count: int, noun: str) -> str:
    """A number with its noun: "1 tracklet", "1,200 tracklets", "2 people"."""
    plural = {"person": "people", "match": "matches"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else plural}"


class ConflictError(ReseenError):
    """What is asked for does not go with what a gallery holds or what people have said."""
