import io
import logging
import sys

import pytest

from reseen import progress as module
from reseen.progress import PlainFormatter, plain, progress


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level("INFO", "reseen")


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test says so."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_a_line_a_minute_where_nobody_watches(clock, caplog):
    with progress("packing", 1000, "frames") as advance:
        for _ in range(10):
            clock.now += 25
            advance(50)
    assert caplog.messages == [
        "packing: 150 of 1,000 frames, 2.0 frames/s, 425 s left",
        "packing: 300 of 1,000 frames, 2.0 frames/s, 350 s left",
        "packing: 450 of 1,000 frames, 2.0 frames/s, 275 s left",
        "packing: 500 frames in 250.0 s",
    ]


def test_rate_leaves_out_what_an_earlier_run_did(clock, caplog):
    with progress("packing", 1000, "frames", done=800) as advance:
        clock.now += 60
        advance(60)
    assert "860 of 1,000 frames, 1.0 frames/s, 140 s left" in caplog.text


def test_stream_without_an_end_has_no_time_left(clock, caplog):
    with progress("tracking", None, "frames") as advance:
        clock.now += 60
        advance(600)
    assert caplog.messages[0] == "tracking: 600 frames, 10.0 frames/s"


def test_failed_work_is_not_reported_as_finished(caplog):
    with pytest.raises(ValueError, match="broken"), progress("packing", 5, "frames"):
        raise ValueError("broken")
    assert caplog.messages == []


def test_first_of_several_processes_speaks_for_all(monkeypatch, caplog):
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        with progress("training", 5, "updates") as advance:
            advance(rank)
    assert caplog.text.count("training: ") == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("packing", 10, "frames", done=4) as advance:
        for _ in range(6):
            advance(1)
    assert "packing" in terminal.getvalue()
    assert "10/10" in terminal.getvalue()
    assert "frames/s" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("north gate, Größe 3, 門", "north gate, Größe 3, 門"),
        ("\x1b[2Jcamera", r"\x1b[2Jcamera"),
        ("\x9b31mred", r"\x9b31mred"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("a\r\nreseen: all is well", r"a\r\nreseen: all is well"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2028line", r"\u2028line"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_foreign_text_cannot_steer_a_terminal(text, shown):
    assert plain(text) == shown
    shown.encode()


def test_only_a_traceback_has_several_lines():
    stream = io.StringIO()
    logger, handler = logging.Logger("plain"), logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter())
    logger.addHandler(handler)
    try:
        raise ValueError("bad\x1b[2J")
    except ValueError:
        logger.exception("a file's\nname")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == [r"a file's\nname", "Traceback (most recent call last):"]
    assert lines[-1] == r"ValueError: bad\x1b[2J"
