"""Loading models from a server on this machine that breaks off, lies, resumes and redirects."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from reseen.cli import run
from reseen.errors import ReseenError
from reseen.models import catalogue as catalogue_module
from reseen.models.catalogue import Entry, catalogue
from reseen.models.fetch import fetch

CONTENT = bytes(range(256)) * 1_000


class Server(ThreadingHTTPServer):
    """Serves CONTENT as the test says, and notes what was asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks_after, self.resumes, self.states_length = (
            CONTENT,
            None,
            True,
            True,
        )
        self.asked = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        begin = self.headers.get("Range", "")
        self.server.asked.append((self.path, begin))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/file.onnx")
            self.end_headers()
            return
        if "missing" in self.path:
            self.send_error(404)
            return
        content = self.server.content
        start = int(begin[len("bytes=") : -1]) if begin and self.server.resumes else 0
        if start >= len(content) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.server.states_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = self.server.breaks_after
        self.wfile.write(content[start:] if end is None else content[start:][:end])

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "RESEEN_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def entry(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path / "models"))
    return Entry(
        "small",
        "trunk",
        "a file",
        "MIT",
        "drawn people",
        "crops",
        "vectors",
        address=f"http://127.0.0.1:{server.server_port}/file.onnx",
        bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        style="imagenet",
    )


def changed(entry, **facts):
    return msgspec.structs.replace(entry, **facts)


def files(folder: Path):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_loaded_once(server, entry):
    assert fetch(entry).read_bytes() == CONTENT
    assert files(entry.path.parent) == ["small.onnx"]
    assert fetch(entry) == entry.path
    assert server.asked == [("/file.onnx", "")]


def test_what_broke_off_goes_on_where_it_was(server, entry):
    server.breaks_after = 100_000
    with pytest.raises(ReseenError, match="broke off after 100,000 of 256,000 bytes"):
        fetch(entry)
    assert files(entry.path.parent) == ["small.part"]
    server.breaks_after = None
    assert fetch(entry).read_bytes() == CONTENT
    assert server.asked[1] == ("/file.onnx", "bytes=100000-")
    assert files(entry.path.parent) == ["small.onnx"]


def test_a_server_that_does_not_resume_is_asked_for_all(server, entry):
    server.breaks_after = 1_000
    with pytest.raises(ReseenError):
        fetch(entry)
    server.breaks_after, server.resumes = None, False
    assert fetch(entry).read_bytes() == CONTENT


def test_a_part_that_is_whole_only_gets_its_name(server, entry):
    entry.path.parent.mkdir()
    entry.path.with_name("small.part").write_bytes(CONTENT)
    assert fetch(entry).read_bytes() == CONTENT


def test_wrong_bytes_leave_nothing(server, entry):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(ReseenError, match="other bytes than expected"):
        fetch(entry)
    assert files(entry.path.parent) == []


def test_wrong_bytes_do_not_replace_a_file(server, entry):
    entry.path.parent.mkdir()
    entry.path.write_bytes(b"older")
    server.content = CONTENT[::-1]
    with pytest.raises(ReseenError, match="other bytes than expected"):
        fetch(entry)
    assert entry.path.read_bytes() == b"older"


def test_a_part_of_something_else_is_found_out(server, entry):
    entry.path.parent.mkdir()
    entry.path.with_name("small.part").write_bytes(b"else")
    with pytest.raises(ReseenError, match="other bytes than expected"):
        fetch(entry)
    assert fetch(entry).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", CONTENT + b"more"])
def test_another_length_is_refused_before_it_is_loaded(server, entry, content):
    server.content = content
    with pytest.raises(ReseenError, match="bytes where 256,000 are expected"):
        fetch(entry)
    assert files(entry.path.parent) == []


def test_a_length_that_is_not_stated_ends_where_the_file_must(server, entry):
    server.states_length, server.content = False, CONTENT + b"without end" * 1_000_000
    with pytest.raises(ReseenError, match="other bytes than expected"):
        fetch(entry)
    server.content = CONTENT
    assert fetch(entry).read_bytes() == CONTENT


def test_redirects_are_followed(server, entry):
    moved = changed(entry, address=entry.address.replace("file", "moved"))
    assert fetch(moved).read_bytes() == CONTENT


def test_a_mirror_has_every_file_by_its_name(server, entry, monkeypatch):
    monkeypatch.setenv("RESEEN_MIRROR", f"http://127.0.0.1:{server.server_port}/mirror/")
    fetch(changed(entry, address="https://unreachable.invalid/file"))
    assert server.asked == [("/mirror/small.onnx", "")]


def test_a_proxy_is_used(server, entry, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "")
    fetch(changed(entry, address="http://models.invalid/file.onnx"))
    assert server.asked == [("http://models.invalid/file.onnx", "")]


def test_what_cannot_be_reached_may_be_put_there_by_hand(server, entry):
    for address in (entry.address.replace("file", "missing"), "http://127.0.0.1:1/file"):
        with pytest.raises(ReseenError, match=r"cannot be reached .* at .*small\.onnx"):
            fetch(changed(entry, address=address))
    assert files(entry.path.parent) == []


def test_without_a_published_sum_the_user_must_say_it(server, entry):
    unknown = changed(entry, sha256="", bytes=0)
    with pytest.raises(ReseenError, match="cannot be verified"):
        fetch(unknown)
    assert fetch(unknown, entry.sha256.upper()).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["", "file:///etc/passwd", "ftp://127.0.0.1/file"])
def test_other_addresses_are_refused(entry, address):
    with pytest.raises(ReseenError, match=r"not published as a file|no address of the web"):
        fetch(changed(entry, address=address))


class TestCommands:
    @pytest.fixture(autouse=True)
    def one_entry(self, entry, monkeypatch):
        monkeypatch.setattr(catalogue_module, "catalogue", lambda: {entry.name: entry})

    def test_get_says_first_what_it_loads(self, entry, capsys):
        assert run(["models", "get", "small"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines == [
            f"{entry.address}, 0.3 MB",
            "licence MIT; trained on drawn people",
            str(entry.path),
        ]

    def test_verify_finds_a_changed_file(self, entry, capsys):
        fetch(entry)
        assert run(["models", "verify"]) == 0
        entry.path.write_bytes(CONTENT[1:])
        assert run(["models", "verify"]) == 1
        assert f"{entry.path}: WRONG" in capsys.readouterr().out

    def test_list_shows_what_is_here(self, entry, capsys):
        run(["models", "list"])
        assert "to load" in capsys.readouterr().out
        fetch(entry)
        run(["models", "list"])
        assert "here" in capsys.readouterr().out

    def test_other_names_are_refused(self, capsys):
        assert run(["models", "get", "nobody"]) == 2
        assert "there is no model nobody" in capsys.readouterr().err


def test_catalogue_is_complete():
    """Every file that can be loaded says how long it is, what it is and who may use it."""
    entries = catalogue()
    for entry in entries.values():
        assert entry.licence
        assert entry.data
        if entry.address:
            assert entry.bytes > 100_000
            assert len(entry.sha256) == 64
            assert bytes.fromhex(entry.sha256)
    wanted = {"lite0", "osnet-x0-25", "youtu", "tao-reid", "fastreid-sbs"}
    assert wanted | {"yolox-nano", "yolox-tiny", "yolox-s", "nanodet-m"} <= set(entries)


def test_catalogue_agrees_with_the_files_beside_the_project(shared_data):
    for name, file in (("osnet-x0-25", "osnet_x0_25_msmt17"), ("nanodet-m", "nanodet_m")):
        content = (shared_data / "models" / f"{file}.onnx").read_bytes()
        entry = catalogue()[name]
        assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
