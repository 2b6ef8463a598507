import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reseen.errors import ReseenError
from reseen.times import DATED_FROM, DATED_UNTIL, day, is_dated, read, show, span

NOON = 1_777_629_600.0
"""1 May 2026, 10:00 UTC: noon in Berlin."""

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
ZONES = (
    "UTC0",
    BERLIN,
    "EST5EDT,M3.2.0,M11.1.0",
    "IST-5:30",
    "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",  # Chatham Islands
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",  # Lord Howe Island: half an hour of summer time
    "<-12>12",
)
SPRING, AUTUMN = 1_774_746_000.0, 1_792_890_000.0
"""29 March and 25 October 2026, 01:00 UTC: clocks are changed in Berlin."""


@contextmanager
def clocks_in(zone: str):
    """Local time as in a zone, given in POSIX form, which needs no time-zone files."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@given(st.floats(DATED_FROM, DATED_UNTIL - 1) | st.floats(SPRING - 1e4, SPRING + 1e4)
       | st.floats(AUTUMN - 1e4, AUTUMN + 1e4), st.sampled_from(ZONES))  # fmt: skip
@example(AUTUMN - 1, BERLIN)
@example(AUTUMN, BERLIN)
@example(SPRING, BERLIN)
def test_a_date_that_is_shown_is_read_back_to_its_second(seconds, zone):
    with clocks_in(zone):
        assert read(show(seconds)) == float(int(seconds))


@given(st.floats(0, DATED_FROM - 1) | st.sampled_from([0.0, 59.96, 125.4, 3599.99, 350_000.5]))
def test_a_time_in_a_recording_that_is_shown_is_read_back_to_its_tenth(seconds):
    assert read(show(seconds)) <= seconds + 1e-4
    assert read(show(seconds)) > seconds - 0.1001
    assert read(show(-seconds)) == -read(show(seconds))
    assert show(read(show(seconds))) == show(seconds)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_number_is_shown_can_be_read(seconds):
    assert show(read(show(seconds))) == show(seconds)
    assert read(repr(seconds)) == seconds, "JSON holds plain seconds"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "time not known"),
        (0.0, "0:00:00.0"),
        (59.97, "0:00:59.9"),
        (125.4, "0:02:05.4"),
        (3723.46, "1:02:03.4"),
        (-5.0, "-0:00:05.0"),
        (NOON, "2026-05-01 12:00:00+02:00"),
        (NOON + 0.9, "2026-05-01 12:00:00+02:00"),
        (AUTUMN - 1, "2026-10-25 02:59:59+02:00"),
        (AUTUMN, "2026-10-25 02:00:00+01:00"),
        (1e300, "1e+300 s"),
    ],
)
def test_times_are_shown_in_one_form(seconds, text):
    with clocks_in(BERLIN):
        assert show(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("83.5", 83.5),
        ("2:05", 125.0),
        ("0:02:05.4", 125.4),
        ("00:02:05.4", 125.4),
        ("2026-05-01 12:00:00+02:00", NOON),
        ("2026-05-01 10:00:00 UTC", NOON),
        ("2026-05-01T10:00Z", NOON),
        (" 2026-05-01 12:00 ", NOON),
        ("2026-05-01T12:00", NOON),
        ("2026-05-01T12:00:00.25", NOON + 0.25),
        ("2026-05-01", NOON - 12 * 3600),
        ("1777629600", NOON),
        ("2026-10-25 02:30", AUTUMN - 1800),
        ("2026-10-25 02:30+01:00", AUTUMN + 1800),
        ("2026-03-29 03:00", SPRING),
        ("2026-03-29 01:59:59", SPRING - 1),
    ],
)
def test_reads_times_as_people_browsers_and_older_versions_write_them(text, seconds):
    with clocks_in(BERLIN):
        assert read(text) == pytest.approx(seconds, abs=1e-9, rel=0)


@pytest.mark.parametrize(
    "text",
    [
        "", "noon", "1:2:3:4", "2024-13-01 08:00", "nan", "inf", "1_0", "1e999", "٣:٠٠", "9" * 400,
        "2024-06-10T", "time not known", "2026-03-29 02:30", "2026-05-01 12:00 CEST",
    ],
)  # fmt: skip
def test_says_what_is_no_time(text):
    with clocks_in(BERLIN), pytest.raises(ReseenError, match="is no time; write"):
        read(text)


def test_the_zone_of_the_clock_is_where_the_machine_is():
    for zone in ZONES:
        with clocks_in(zone):
            shown = datetime.fromisoformat(show(NOON))
            assert shown.utcoffset() == datetime.fromtimestamp(NOON).astimezone().utcoffset()
            assert shown.astimezone(UTC) == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_spans_and_days():
    with clocks_in(BERLIN):
        noon = "2026-05-01 12:00:00+02:00"
        assert span(NOON, NOON + 5) == f"{noon} to 2026-05-01 12:00:05+02:00"
        assert span(NOON, NOON + 0.1) == span(NOON, None) == noon
        assert span(None, 5.0) == "until 0:00:05.0"
        assert span(None, None) == "time not known"
        assert day(NOON) == "1 May 2026"
        assert (day(125.0), day(1e300), day(None)) == ("", "", "Time not known")


def test_dates_are_told_from_times_in_a_recording():
    assert is_dated(NOON)
    assert not any(map(is_dated, (None, 0.0, 90_000.0, -NOON, 1e300)))
