from collections.abc import Callable
from pathlib import Path

import pytest

from reseen.data.layout import entries, enumerate_names, folder_with, gaps, is_picture
from reseen.errors import ReseenError


def test_entries_come_in_natural_order_without_hidden_ones(plant: Callable[..., Path]):
    root = plant("10/a", "2/a", ".git/a", "11.png", "3.png", ".DS_Store")
    assert entries(root) == (["2", "10"], ["3.png", "11.png"])


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(ReseenError, match="nowhere: No such file"):
        entries(tmp_path / "nowhere")


def test_pictures_are_known_by_their_ending():
    assert all(map(is_picture, ["a.jpg", "a.JPEG", "a.Png", "a.bmp", "a.webp"]))
    assert not any(map(is_picture, ["a.txt", "jpg", "a.jpg.part", "Thumbs.db"]))


def test_the_folder_is_found_in_the_first_place_that_has_all(plant: Callable[..., Path]):
    root = plant("one/left/x", "two/left/x", "two/right/x")
    assert folder_with(root, ["left", "right"], ["one", "two"], "…") == root / "two"
    assert folder_with(root / "two", ["left", "right"], ["one", "two"], "…") == root / "two"


def test_where_it_was_looked_for_and_what_must_be_there_is_said(plant: Callable[..., Path]):
    root = plant("one/left/x")
    with pytest.raises(ReseenError) as caught:
        folder_with(root, ["left", "right"], ["one"], "LEFT AND RIGHT")
    assert str(caught.value) == (
        f"no left/ and right/ in {root}, {root}/one; expected the data set as LEFT AND RIGHT"
    )
    with pytest.raises(ReseenError, match="nothing is not a folder; expected the data set as"):
        folder_with(root / "nothing", ["left"], [], "LEFT")


def test_names_are_numbered_in_natural_order():
    assert enumerate_names(["cam10", "cam2", "cam10", "door"]) == {"cam2": 1, "cam10": 2, "door": 3}


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3], []),
        ([1, 2, 5, 6, 8], [(2, 5), (6, 8)]),
        ([317, 318, 320], [(318, 320)]),
        ([0, 5, 10, 15], []),  # every fifth frame was kept
        ([0, 5, 15], [(5, 15)]),
        ([7], []),
        ([], []),
    ],
)
def test_gaps_lie_where_the_numbers_jump(numbers: list[int], missing: list[tuple[int, int]]):
    def name(number: int) -> str:
        return f"cam2_{number:05d}.png"

    assert gaps([*map(name, numbers)]) == [(name(a), name(b)) for a, b in missing]


def test_names_without_numbers_have_no_gaps():
    assert gaps(["a.png", "b.png", "3.png"]) == []
