"""The site from docs/ builds, loads nothing from elsewhere, and shows commands that exist."""

import re
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reseen
from reseen.cli import app
from reseen.network.config import Config
from reseen.tracking import onnx

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


class _Loaded(HTMLParser):
    """Addresses that a browser loads without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(given.get("src") or "")
        if tag == "link":
            self.addresses.append(given.get("href") or "")


def loaded_from_elsewhere(html: str) -> list[str]:
    parser = _Loaded()
    parser.feed(html)
    return [address for address in parser.addresses if re.match(r"(\w+:)?//", address)]


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES)  # and the page for what is not found
    assert {page: loaded_from_elsewhere(page.read_text("utf-8")) for page in pages} == {
        page: [] for page in pages
    }
    styles = list((tmp_path / "site").rglob("*.css"))
    assert styles
    assert not [style for style in styles if re.search(r"url\(.?https?:", style.read_text("utf-8"))]


def test_the_api_page_leads_to_every_public_name():
    page = (ROOT / "docs/api.md").read_text("utf-8")
    for name in reseen.__all__:
        home = reseen._HOMES[name].replace(":", ".")
        assert re.search(rf"\| `{name}` \| .* \| \[`{home}`\]\[reseen\.{home}\] \|", page), name


def newcomers(sign: str, names: dict[str, Any]) -> dict[str, Any]:
    """What the names are after the newcomer's page's code with this sign in it."""
    page = (ROOT / "docs/newcomer.md").read_text("utf-8")
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if sign in one)
    exec(code, names)
    return names


def test_the_newcomers_data_set_is_read(tmp_path):
    for person in range(1, 5):
        for camera in (1, 2):
            (tmp_path / f"{person}_{camera}.png").touch()
    benchmark = newcomers("PAIRS", {})["load"](tmp_path)
    found = [(each.person, each.camera) for each in benchmark.tracklets]
    assert found == [(person, camera) for person in range(1, 5) for camera in (1, 2)]


def test_the_newcomers_detector_reads_what_is_of_its_form_alone():
    read = newcomers("def odd", dict(vars(onnx)))["odd"]
    found = np.array([[[1, 2, 3, 4, 0.5]]], np.float32)
    boxes, scores = read(onnx.Outputs([found], (64, 64), None))
    np.testing.assert_array_equal(boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(scores, [0.5])
    for other in (found + 1, found[..., :4]):
        with pytest.raises(onnx.MisfitError):
            read(onnx.Outputs([other], (64, 64), None))


def test_own_features_are_scored_as_the_page_says(capsys):
    page = (ROOT / "docs/tasks/score.md").read_text("utf-8")
    code, said = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<script src="https://a.example/x.js"></script>', ["https://a.example/x.js"]),
        ('<link rel=stylesheet href="//b.example/x.css">', ["//b.example/x.css"]),
        ('<a href="https://c.example">read</a><img src="../found.png">', []),
    ],
)
def test_what_is_loaded_from_elsewhere_is_seen(html, expected):
    assert loaded_from_elsewhere(html) == expected


def commands(page: Path) -> list[str]:
    """The page's own command lines, joined where they go on in the next line."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^\$ (reseen .*?)(?:\s+#.*)?$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in commands(page)}))
def test_every_command_of_the_docs_parses(line):
    for part in line.split(" && "):
        tokens = shlex.split(part)[1:]
        command, _, ignored = app.parse_args(tokens, exit_on_error=False, print_error=False)
        assert not ignored
        assert command.__name__.rstrip("_") in part.replace("-", "_")


@pytest.mark.parametrize("page", ["architecture.md", "newcomer.md", "method.md"])
def test_files_that_the_docs_name_exist(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|toml))[`:]", text)
    assert len(named) > 5
    rooms = [name if name.startswith("tests/") else f"src/reseen/{name}" for name in named]
    made_up = "src/reseen/data/datasets/pairs.py"
    assert [name for name in rooms if not (ROOT / name).exists() and name != made_up] == []


def test_names_and_settings_that_the_method_tells_exist():
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:\w+/)+\w+\.py): ([\w, ]+)`", text)
    assert len(places) > 5
    for file, names in places:
        source = (ROOT / "src" / "reseen" / file).read_text(encoding="utf-8")
        for name in names.split(", "):
            assert re.search(rf"(def|class) {name}\b", source), f"{file}: {name}"
    sections = tomllib.loads(Config().to_toml())
    known = {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    told = set(re.findall(rf"`((?:{'|'.join(sections)})\.\w+)", text))
    assert len(told) > 5
    assert told <= known
