import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from reseen.data.embeddings import Embeddings
from reseen.errors import ReseenError


def embeddings(count=3, dimensions=4):
    features = np.arange(count * dimensions, dtype=np.float32).reshape(count, dimensions) / 3
    numbers = np.arange(count)
    return Embeddings(
        features, numbers - 1, numbers + 1, tuple(f"0001/caméra {n}" for n in numbers)
    )


def test_lists_and_tensors_are_taken_for_the_arrays_they_hold():
    torch = pytest.importorskip("torch")
    of_lists = Embeddings([[1.0, 2.0]], [3], [4], ["a"])
    of_tensors = Embeddings(*map(torch.tensor, ([[1.0, 2.0]], [3], [4])), ("a",))
    for found in (of_lists, of_tensors, of_tensors.take([0])):
        np.testing.assert_array_equal(found.features, [[1.0, 2.0]])
        assert (found.persons[0], found.cameras[0], found.names) == (3, 4, ("a",))


@pytest.mark.parametrize(("persons", "cameras"), [(["0001"], [1]), ([1], [1.0])])
def test_persons_and_cameras_are_numbers(persons, cameras):
    with pytest.raises(ReseenError, match="must be whole numbers"):
        Embeddings([[1.0]], persons, cameras, ["a"])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_parquet_gives_back_every_bit(tmp_path, count):
    written = embeddings(count)
    written.save(tmp_path / "deep" / "features.parquet")
    read = Embeddings.load(tmp_path / "deep" / "features.parquet")
    assert read.features.dtype == np.float32
    np.testing.assert_array_equal(read.features, written.features)
    np.testing.assert_array_equal(read.persons, written.persons)
    np.testing.assert_array_equal(read.cameras, written.cameras)
    assert read.names == written.names


def test_a_changed_byte_is_told_or_changes_nothing(tmp_path):
    whole = embeddings(5)
    whole.save(tmp_path / "e.parquet")
    content, told = (tmp_path / "e.parquet").read_bytes(), 0
    for place in range(0, len(content), 5):
        changed = bytes([*content[:place], content[place] ^ 4, *content[place + 1 :]])
        (tmp_path / "e.parquet").write_bytes(changed)
        try:
            found = Embeddings.load(tmp_path / "e.parquet")
        except ReseenError:
            told += 1
        else:
            for column in ("features", "persons", "cameras", "names"):
                np.testing.assert_array_equal(getattr(found, column), getattr(whole, column))
    assert told > 100


def test_others_can_read_the_columns(tmp_path):
    embeddings(2, 3).save(tmp_path / "features.parquet")
    rows = parquet.read_table(tmp_path / "features.parquet").to_pylist()
    assert rows[1]["person"] == 0
    assert rows[1]["camera"] == 2
    assert rows[1]["feature"] == pytest.approx([1, 4 / 3, 5 / 3])


def test_take_keeps_rows_together():
    taken = embeddings(5).take([4, 0])
    assert taken.persons.tolist() == [3, -1]
    assert taken.names == ("0001/caméra 4", "0001/caméra 0")
    np.testing.assert_array_equal(taken.features, embeddings(5).features[[4, 0]])


@pytest.mark.parametrize("what", ["persons", "cameras", "names"])
def test_unequal_lengths_are_refused_by_name(what):
    good = embeddings(3)
    parts = {"persons": good.persons, "cameras": good.cameras, "names": good.names}
    parts[what] = parts[what][:2]
    with pytest.raises(ReseenError, match=f"{what} has 2 entries but there are 3 features"):
        Embeddings(good.features, **parts)


def test_feature_that_is_not_finite_is_named():
    good = embeddings(3)
    features = good.features.copy()
    features[1, 2] = np.nan
    with pytest.raises(ReseenError, match=r"1 feature is not finite.*caméra 1"):
        Embeddings(features, good.persons, good.cameras, good.names)


def test_missing_file(tmp_path):
    with pytest.raises(ReseenError, match="does not exist"):
        Embeddings.load(tmp_path / "nothing.parquet")


def broken_text(path):
    path.write_text("not Parquet")


def broken_columns(path):
    parquet.write_table(pyarrow.table({"name": ["a"], "person": [1]}), path)


def broken_lengths(path):
    columns = {
        "name": ["a", "b"],
        "person": [1, 2],
        "camera": [1, 2],
        "feature": [[1.0], [1.0, 2.0]],
    }
    parquet.write_table(pyarrow.table(columns), path)


def broken_values(path):
    embeddings(2).save(path)
    table = parquet.read_table(path)
    missing = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array([1.0, None]), 1)
    parquet.write_table(table.set_column(3, "feature", missing), path)


def broken_kinds(path):
    embeddings(2).save(path)
    table = parquet.read_table(path)
    nested = pyarrow.array([{"number": 1}, {"number": 2}])
    parquet.write_table(table.set_column(1, "person", nested), path)


BROKEN = [broken_text, broken_columns, broken_lengths, broken_values, broken_kinds]


@pytest.mark.parametrize("broken", BROKEN)
def test_file_that_holds_no_features_is_refused(tmp_path, broken):
    path = tmp_path / "features.parquet"
    broken(path)
    with pytest.raises(ReseenError, match=r"features\.parquet does not hold features: \w+"):
        Embeddings.load(path)
