"""Rooms import leftwards only, as docs/architecture.md draws them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import reseen

PACKAGE = Path(reseen.__file__).parent
ROOMS = {
    "models": (),
    "data": ("models",),
    "network": ("data",),
    "tracking": ("data",),
    "synthetic": ("data",),
    "evaluation": ("network",),
    "report": ("evaluation",),
    "experiments": ("report", "synthetic"),
    "gallery": ("report", "tracking"),
    "service": ("gallery",),
    "web": ("service",),
}
"""Each room and those directly to its left, whose own left it may import from as well."""

FREE = ("cluster", "errors", "files", "parallel", "progress", "times")
"""Modules beside the rooms that import no room, so that every room may use them."""


MODULES = {
    ".".join(("reseen", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path.read_text(encoding="utf-8")
    for path in PACKAGE.rglob("*.py")
}


def names_imported(source: str) -> Iterator[str]:
    """Whole names of what some code imports, wherever in it and if only for its types."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(source: str) -> set[str]:
    """Modules of `reseen` that some code imports, whole or something in them."""
    names = names_imported(source)
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} & MODULES.keys()


def imported(source: str) -> set[str]:
    """First names under `reseen` that some code imports."""
    return {name.split(".")[1] for name in names_imported(source) if name.startswith("reseen.")}


def trespasses(room: str, source: str) -> set[str]:
    """What a module of a room imports although it must not."""
    return imported(source) - set(FREE) - left_of(room) - {room}


def left_of(room: str) -> set[str]:
    """Every room to the left of one."""
    return {far for near in ROOMS[room] for far in (near, *left_of(near))}


@pytest.mark.parametrize("room", [room for room in ROOMS if (PACKAGE / room).is_dir()])
def test_room_imports_from_rooms_to_its_left_only(room):
    modules = sorted((PACKAGE / room).rglob("*.py"))
    assert modules
    found = {
        str(path.relative_to(PACKAGE)): trespasses(room, path.read_text(encoding="utf-8"))
        for path in modules
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imported_modules(source) for module, source in MODULES.items()}
    TopologicalSorter(graph).prepare()  # a CycleError names the circle
    with pytest.raises(CycleError):
        TopologicalSorter({**graph, "reseen.errors": {"reseen.web.app"}}).prepare()


@pytest.mark.parametrize("module", FREE)
def test_what_all_rooms_share_imports_no_room(module):
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    assert imported(source) <= set(FREE)


@pytest.mark.parametrize(
    ("room", "source", "expected"),
    [
        ("data", "from reseen.network.model import FEATURE", {"network"}),
        ("data", "def f():\n    import reseen.gallery.gallery", {"gallery"}),
        ("network", "from reseen import evaluation", {"evaluation"}),
        ("evaluation", "from reseen.cli import run", {"cli"}),
        ("report", "from reseen.gallery.gallery import Gallery", {"gallery"}),
        ("tracking", "import reseen.network.model", {"network"}),
        ("web", "from reseen.tracking.video import Frame", set()),
        ("gallery", "from reseen.data.store import FrameStore", set()),
        ("network", "import torch\nfrom reseen.errors import ReseenError", set()),
    ],
)
def test_trespasses_are_seen(room, source, expected):
    assert trespasses(room, source) == expected


@pytest.mark.parametrize(
    "module", ["reseen.gallery.extractors", "reseen.network.embed", "reseen.data.frame_vectors"]
)
def test_what_embeds_pictures_loads_little_else(module):
    """Neither trackers nor plots nor synthetic people, and few enough modules to be read."""
    loaded = [name for name in modules_loaded_by(module) if name.split(".")[0] == "reseen"]
    rooms = {name.split(".")[1] for name in loaded if name != "reseen"}
    assert not rooms & {"tracking", "report", "experiments", "synthetic", "web", "cli"}
    assert len(loaded) <= 20


def test_a_gallery_that_is_added_to_loads_neither_trackers_nor_data_sets():
    loaded = modules_loaded_by("reseen.data.tracked", "reseen.gallery.upkeep")
    rooms = ("tracking", "report", "experiments", "synthetic", "web", "cli", "data.datasets")
    assert not [name for name in loaded if name.startswith(tuple(f"reseen.{one}" for one in rooms))]


def test_numbers_need_no_pictures():
    modules = [path.stem for path in (PACKAGE / "evaluation").glob("[!_]*.py")]
    assert "evaluate" in modules
    loaded = modules_loaded_by(*(f"reseen.evaluation.{name}" for name in modules))
    assert not {"matplotlib", "jinja2"} & {name.split(".")[0] for name in loaded}


def modules_loaded_by(*modules: str) -> set[str]:
    """All of `sys.modules` once some modules are imported."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())
