from pathlib import Path

import pytest

from reseen.data.datasets import DATASETS, load
from reseen.errors import ReseenError


def test_every_data_set_has_its_loader():
    assert list(DATASETS) == [
        "prid2011",
        "prid2011-178",
        "ilids-vid",
        "mars",
        "ls-vid",
        "mevid",
        "ag-vpreid",
        "g2a-vreid",
        "folder",
    ]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("prid", "prid2011"), ("ilids", "ilids-vid"), ("MARS", "mars"), ("folders", "folder")],
)
def test_an_unknown_name_gets_the_nearest_known_one(wrong: str, near: str):
    with pytest.raises(ReseenError, match=f"no data set '{wrong}'; did you mean '{near}'"):
        load(wrong, Path())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_missing_and_an_empty_folder_are_explained(dataset: str, tmp_path: Path):
    with pytest.raises(ReseenError, match="nowhere"):
        load(dataset, tmp_path / "nowhere")
    with pytest.raises(ReseenError, match=str(tmp_path)):
        load(dataset, tmp_path)
