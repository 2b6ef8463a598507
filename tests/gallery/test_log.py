import json
import multiprocessing
import time

import pytest

from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.gallery.log import append_line, drop_lines, read_lines


def test_lines_are_appended_with_their_time(tmp_path):
    path = tmp_path / "notes" / "log.jsonl"
    append_line(path, {"what": "search", "query": "Müller 🚉\n\u2028"})
    append_line(path, {"what": "forget"})
    first, second = read_lines(path)
    assert first.pop("time") == pytest.approx(time.time(), abs=60)
    assert first == {"what": "search", "query": "Müller 🚉\n\u2028"}
    assert second["what"] == "forget"
    assert path.read_bytes().count(b"\n") == 2
    assert path.stat().st_mode & 0o077 == 0


def append_many(path, who):
    for number in range(200):
        append_line(path, {"who": who, "number": number, "filling": "x" * 500})


def test_lines_of_processes_that_write_at_once_do_not_mix(tmp_path):
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(path, who)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((line["who"], line["number"]) for line in lines) == [
        (who, number) for who in range(4) for number in range(200)
    ]


def test_a_line_cut_short_by_a_crash_harms_no_other(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, {"what": "first"})
    with path.open("a") as file:
        file.write('{"what": "cut sh')
    append_line(path, {"what": "last"})
    assert [line["what"] for line in read_lines(path)] == ["first", "last"]


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b'{"what": "\xff"}', b"[" * 100_000, b"\x00", b"[1]", b"{" * 9]
)
def test_a_damaged_line_harms_no_other(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    append_line(path, {"what": "first"})
    path.write_bytes(path.read_bytes() + damage + b"\n")
    append_line(path, {"what": "last"})
    assert [line["what"] for line in read_lines(path)] == ["first", "last"]


def test_lines_go_when_their_time_is_over(tmp_path):
    path = tmp_path / "log.jsonl"
    for number in range(4):
        append_line(path, {"time": 100.0 + number})
    assert drop_lines(path, 100.0) == 0
    path.write_bytes(path.read_bytes() + b"damaged\n")
    assert drop_lines(path, 102.5) == 4
    assert [line["time"] for line in read_lines(path)] == [103.0]
    assert b"damaged" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert drop_lines(tmp_path / "nowhere.jsonl", 1.0) == 0


def test_no_line_is_lost_while_others_are_dropped(tmp_path):
    """Those who write have the file open that is being replaced."""
    path, dropped = tmp_path / "log.jsonl", []
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(path, who)) for who in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        dropped.append(drop_lines(path, time.time()))
    assert len([count for count in dropped if count]) > 1
    assert sum(dropped) + len(list(read_lines(path))) == 2 * 200


@pytest.mark.parametrize("days", [2.0, None])
def test_a_gallerys_log_is_kept_for_as_long_as_was_said(tmp_path, days):
    gallery = Gallery.open(tmp_path, create=True)
    gallery.logged("search", k=1)
    gallery.settings.set_log_days(days)
    now = time.time()
    for passed, kept in ((1.9, 2), (2.1, 0 if days else 2)):
        gallery.forgetting.expire(now + 86_400 * passed)
        assert len(list(read_lines(tmp_path / "log.jsonl"))) == kept


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(ReseenError, match=r"cannot write .*log\.jsonl"):
        append_line(tmp_path / "log.jsonl", {})


def test_there_are_no_lines_where_there_is_no_file(tmp_path):
    assert list(read_lines(tmp_path / "log.jsonl")) == []
