"""Secrets come from a file or the environment, too, and are told to nobody."""

from types import SimpleNamespace

import pytest

from reseen.cli import run
from reseen.gallery.gallery import Gallery
from reseen.tracking import track as tracking
from reseen.web import app

TOKEN = "Zx8-hQ_2mVb7Kd0w"


@pytest.fixture
def served(tmp_path, monkeypatch, capsys):
    """Give `reseen serve` options; returns exit code, token and what was printed."""

    def serve(gallery, host, port, token, *, allow_hosts, extractors, ready):
        app.checked_token(token)
        tokens.append(token)
        ready(f"http://{host}:{port}/" + (f"?token={token}" if token else ""))

    def call(*options):
        code = run(["serve", str(tmp_path / "gallery"), *map(str, options)])
        return code, tokens[-1] if tokens else None, "".join(capsys.readouterr())

    tokens = []
    monkeypatch.setattr(
        Gallery,
        "open",
        lambda *_, **__: SimpleNamespace(writable=True, forgetting=SimpleNamespace(doubt=None)),
    )
    monkeypatch.delenv("RESEEN_TOKEN", raising=False)
    monkeypatch.setattr(app, "serve", serve)
    return call


def test_a_token_from_a_file_is_used_and_not_printed(served, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\nfor the shop's cameras\n")
    code, token, printed = served("--token-file", tmp_path / "token")
    assert (code, token) == (0, TOKEN)
    assert "open http://127.0.0.1:8000/\n" in printed
    assert TOKEN not in printed


def test_a_token_from_the_environment_is_used_and_not_printed(served, monkeypatch):
    monkeypatch.setenv("RESEEN_TOKEN", TOKEN)
    code, token, printed = served("--host", "0.0.0.0")
    assert (code, token) == (0, TOKEN)
    assert TOKEN not in printed


def test_a_token_on_the_command_line_goes_before_the_environments(served, monkeypatch):
    monkeypatch.setenv("RESEEN_TOKEN", "another-horse-battery")
    assert served("--token", TOKEN) == (0, TOKEN, f"open http://127.0.0.1:8000/?token={TOKEN}\n")


def test_no_token_is_no_secret(served):
    assert served() == (0, None, "open http://127.0.0.1:8000/\n")


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (None, [], "does not exist"),
        (b"\xff\xfe", [], "cannot be read as text"),
        (b"\nsecond line\n", [], "the first line of"),
        (b"aaaaaaaaaaaaaaaa", [], "repeats itself"),
        (TOKEN.encode(), ["--token", TOKEN], "both name a token"),
        (TOKEN.encode(), ["--token", ""], "both name a token"),
    ],
)
def test_a_token_that_cannot_be_had_is_one_line(served, tmp_path, content, options, why):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    code, token, printed = served("--token-file", file, *options)
    assert (code, token, printed.count("\n")) == (2, None, 1)
    assert why in printed
    assert TOKEN not in printed


@pytest.mark.parametrize("how", ["file", "environment"])
def test_a_cameras_password_need_not_stand_in_its_address(tmp_path, monkeypatch, capsys, how):
    asked = []

    def fails(source, *_, **__):
        asked.append(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(tracking, "track", fails)
    options = ["--camera", "door", "--out", str(tmp_path / "out")]
    if how == "file":
        (tmp_path / "password").write_text("gehe!m\n")
        options += ["--password-file", str(tmp_path / "password")]
    else:
        monkeypatch.setenv("RESEEN_CAMERA_PASSWORD", "gehe!m")
    assert run(["track", "rtsp://ann@camera/live", *options]) == 130
    assert asked == ["rtsp://ann:gehe%21m@camera/live"]
    assert "gehe" not in "".join(capsys.readouterr())
