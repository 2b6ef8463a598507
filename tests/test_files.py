import errno
import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from reseen.cli.options import secret
from reseen.data.embeddings import Embeddings
from reseen.data.layout import read_table
from reseen.errors import ReseenError
from reseen.files import (
    LOCK_FILE,
    claim,
    locked,
    read_as,
    read_json,
    sha256_of,
    write_json,
    write_text,
    written_aside,
)
from reseen.network.config import Config
from reseen.service.cameras import Cameras
from reseen.tracking.mot import read_boxes
from reseen.tracking.video import expected_frames


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_written_into_folders_that_it_makes(tmp_path):
    write_text(tmp_path / "deep" / "er" / "a.txt", "größer\n")
    assert (tmp_path / "deep" / "er" / "a.txt").read_text(encoding="utf-8") == "größer\n"
    assert names(tmp_path / "deep" / "er") == ["a.txt"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_written_files_can_be_read_by_whom_the_mask_says(tmp_path, mask, mode):
    before = os.umask(mask)
    write_text(tmp_path / "a.txt", "")
    os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


class Crash(Exception):
    pass


@pytest.mark.parametrize("failure", [Crash, KeyboardInterrupt])
def test_old_file_stays_when_writing_fails(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with written_aside(path) as temporary:
            temporary.write_text("half of the ne")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("old.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "old.txt").read_text() == "new"


def test_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_aside(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "renaming across disks is not atomic"
    assert path.read_text() == "new"


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / "a.txt", []
    replace, fsync = type(path).replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("sync"), fsync(handle)))
    monkeypatch.setattr(
        type(path), "replace", lambda old, new: (order.append("rename"), replace(old, new))
    )
    write_text(path, "new")
    assert order == ["sync", "rename", "sync"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on the disk for {}; free some and start again"),
        (errno.EACCES, "cannot write {}: Permission denied"),
    ],
)
def test_what_the_disk_refuses_is_named(tmp_path, number, words):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ReseenError) as error, written_aside(path):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == words.format(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ReseenError, match=r"cannot write .*a/b\.txt: "):
        write_text(tmp_path / "a" / "b.txt", "")


def test_json_comes_back(tmp_path):
    value = {"name": "Zoë", "rates": [0.5, 1], "none": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_json_has_no_numbers_that_others_cannot_read(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"rate": float("nan")})
    assert names(tmp_path) == []


def test_json_that_is_missing_or_broken_is_named(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(ReseenError, match=r"a\.json does not exist"):
        read_json(path)
    for content in (b"{", b"\xff\xfe", b"", b'{"a": "\xff"}', b"[" * 100_000, b"NaN"):
        path.write_bytes(content)
        with pytest.raises(ReseenError, match=r"a\.json cannot be read as JSON"):
            read_json(path)


def test_a_locked_folder_is_free_again_and_holds_no_trace(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    for folder, left in ((tmp_path / "full", ["full"]), (tmp_path / "new" / "er", ["full", "new"])):
        for _ in range(2):
            with locked(folder):
                assert (folder / LOCK_FILE).exists()
        assert names(tmp_path) == left
    assert names(tmp_path / "full") == ["a.txt"]
    assert names(tmp_path / "new") == []


@pytest.mark.parametrize("failure", [Crash, KeyboardInterrupt])
def test_a_lock_ends_with_what_fails_inside(tmp_path, failure):
    with pytest.raises(failure), locked(tmp_path):
        raise failure
    with locked(tmp_path):
        pass
    assert names(tmp_path) == []


def test_whoever_holds_a_folder_is_named(tmp_path, holding):
    process = holding(tmp_path)
    who = rf"process {process.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d "
    with (
        pytest.raises(ReseenError, match=f"^{tmp_path} is being filled by {who}"),
        locked(tmp_path),
    ):
        pass
    assert names(tmp_path) == [LOCK_FILE]


def test_the_lock_of_a_killed_process_does_not_count(tmp_path, holding):
    process = holding(tmp_path)
    process.kill()
    process.wait()
    assert names(tmp_path) == [LOCK_FILE]
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_FILE).read_text()


@pytest.mark.parametrize("content", [b"", b"\x1b[31mred", b"two\nlines", b"\xff"])
def test_what_somebody_wrote_into_a_lock_is_not_shown_unless_it_is_one_clean_line(
    tmp_path, holding, content
):
    holding(tmp_path)
    (tmp_path / LOCK_FILE).write_bytes(content)
    with pytest.raises(ReseenError, match="is being filled by another process;"), locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_cannot_be_locked(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReseenError, match="cannot write"), locked(tmp_path / "file" / "folder"):
        pass


def test_a_folder_is_claimed_once_and_found_again(tmp_path):
    folder, mine = tmp_path / "out", {"seed": 3, "pair": (1, 2)}
    assert not claim(folder, "mine.json", mine)
    folder.mkdir()
    (folder / ".hidden").touch()
    with locked(folder):
        assert not claim(folder, "mine.json", mine)
    (folder / "mine.json").write_text(json.dumps(mine))
    (folder / "else.txt").touch()
    assert claim(folder, "mine.json", mine)
    assert claim(folder, "mine.json")


def test_a_folder_of_something_else_is_not_claimed(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ReseenError, match=r"is not empty and holds no mine\.json"):
        claim(tmp_path, "mine.json", {})


@pytest.mark.parametrize(
    ("found", "difference"),
    [({"seed": 4}, "seed"), ({"seed": 3, "old": 1}, "old"), ({}, "seed")],
)
def test_a_folder_made_for_another_purpose_is_not_claimed(tmp_path, found, difference):
    write_json(tmp_path / "mine.json", found)
    with pytest.raises(ReseenError, match=rf"made with another {difference} \(see mine\.json"):
        claim(tmp_path, "mine.json", {"seed": 3})


def test_a_file_is_not_claimed_as_a_folder(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ReseenError, match=r"^cannot write .*thesis\.txt: Not a directory$"):
        claim(tmp_path / "thesis.txt", "mine.json", {})


def test_a_damaged_marker_is_named(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    with pytest.raises(ReseenError, match=r"mine\.json is damaged"):
        claim(tmp_path, "mine.json", {"seed": 3})


@dataclass
class Part:
    name: str
    sizes: tuple[int, ...]


@dataclass
class Whole:
    parts: list[Part]
    rate: float = 0.5


def test_a_document_is_read_as_its_type(tmp_path):
    write_json(tmp_path / "a.json", {"parts": [{"name": "one", "sizes": [1, 2]}], "more": None})
    found = read_as(tmp_path / "a.json", Whole, "make it again")
    assert found == Whole([Part("one", (1, 2))], 0.5)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "Expected `object`, got `array`"),
        (None, "Expected `object`, got `null`"),
        ("x", "Expected `object`, got `str`"),
        ({}, "missing required field `parts`"),
        ({"parts": [{"name": ["a"], "sizes": []}]}, r"got `array` - at `\$\.parts\[0\]\.name`"),
        ({"parts": [{"name": "a", "sizes": [1.5]}]}, r"at `\$\.parts\[0\]\.sizes\[0\]`"),
        ({"parts": [], "rate": "high"}, r"Expected `float`, got `str` - at `\$\.rate`"),
    ],
)
def test_what_is_wrong_in_a_document_is_named_with_its_place_and_a_remedy(
    tmp_path, document, place
):
    write_json(tmp_path / "a.json", document)
    with pytest.raises(ReseenError, match=rf"a\.json is damaged: .*{place}.*; make it again$"):
        read_as(tmp_path / "a.json", Whole, "make it again")


@pytest.mark.parametrize("kind", ["a folder", "a device or a pipe"])
def test_a_result_replaces_files_only(tmp_path, kind):
    place = tmp_path / "out"
    place.mkdir() if kind == "a folder" else os.mkfifo(place)
    with pytest.raises(ReseenError, match=f"cannot write {place}: it is {kind}; name a file"):
        write_text(place, "text")
    assert not place.is_file()
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        sha256_of,
        read_boxes,
        Config.load,
        Embeddings.load,
        Cameras.read,
        expected_frames,
        lambda path: read_table(path, "key"),
        lambda path: secret(path, "UNSET"),
    ],
)
def test_nobody_waits_for_a_pipe_or_reads_a_device(tmp_path, read):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it would wait for somebody who writes
    for odd in (pipe, Path("/dev/zero")):
        with pytest.raises(ReseenError, match=f"cannot read {odd}: it is a device or a pipe"):
            read(odd)
