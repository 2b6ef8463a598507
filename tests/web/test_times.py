import pytest

from reseen.errors import ReseenError
from reseen.web.times import day, moment, seconds, span, time_of_day

MORNING = 1_718_006_400.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("  ", None),
        ("83.5", 83.5),
        ("2:05", 125.0),
        ("2:05.4", 125.4),
        ("1:02:05", 3725.0),
        ("2024-06-10T08:00", MORNING),
        ("2024-06-10 08:00", MORNING),
        ("2024-06-10 08:00:07", MORNING + 7),
    ],
)
def test_reads_times_as_people_and_browsers_write_them(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["noon", "-5", "1:2:3:4", "2024-13-01 08:00", "nan", "1e9", "٣:٠٠", "9" * 400, "2024-06-10T"],
)
def test_says_what_is_no_time(text):
    with pytest.raises(ReseenError, match="is no time"):
        seconds(text)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (None, "time not known"),
        (0.0, "0:00.0"),
        (125.44, "2:05.4"),
        (59.96, "1:00.0"),
        (3725.0, "1:02:05.0"),
        (MORNING, "2024-06-10 08:00:00"),
        (1e300, "1e+300 s"),
    ],
)
def test_writes_times_for_people(time, expected):
    assert moment(time) == expected


@pytest.mark.parametrize("time", [0.0, 59.96, 125.4, 3725.0, 350_000.5, MORNING, MORNING + 7])
def test_reads_what_it_writes(time):
    assert seconds(moment(time)) == pytest.approx(time, abs=0.05)


def test_a_span_names_the_day_once():
    assert span(MORNING, MORNING + 5) == "2024-06-10 08:00:00 to 08:00:05"
    assert span(MORNING, MORNING + 86_400) == "2024-06-10 08:00:00 to 2024-06-11 08:00:00"
    assert span(5.0, 7.5) == "0:05.0 to 0:07.5"
    assert span(5.0, None) == "0:05.0"
    assert span(None, 5.0) == "until 0:05.0"
    assert span(None, None) == "time not known"


def test_days_head_lists_of_clock_times_only():
    assert day(MORNING) == "10 June 2024"
    assert day(125.0) == ""
    assert day(None) == "Time not known"
    assert time_of_day(MORNING) == "08:00:00"
    assert time_of_day(125.0) == "2:05.0"
