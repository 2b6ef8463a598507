"""Networks over crops: small graphs whose vectors can be worked out by hand, and real files."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from reseen.data.frame_vectors import FrameNetwork, find_network, open_network
from reseen.errors import ReseenError
from reseen.models.networks import STYLES

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16


@pytest.fixture
def make_network(tmp_path):
    """Write a graph that repeats the mean of each channel and its square, up to a length."""

    def make(
        name="network.onnx",
        size=(256, 128),
        batch="batch",
        channels=3,
        kind=FLOAT,
        length=512,
        nodes=None,
        outside=False,
        first=None,
        outputs=("vectors",),
        scale=1.0,
    ):
        weights = np.random.default_rng(5).normal(0, scale, (3, length))
        numbers = np.float16 if kind == FLOAT16 else np.float32
        start = [helper.make_node(first, ["crops", "hundred"], ["begun"])] if first else []
        at = "begun" if first else "crops"
        nodes = nodes or [
            helper.make_node("GlobalAveragePool", [at], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["vectors"]),
        ]
        graph = helper.make_graph(
            start + nodes,
            "small",
            [helper.make_tensor_value_info("crops", kind, [batch, channels, *size])],
            [helper.make_tensor_value_info(output, kind, None) for output in outputs],
            [
                numpy_helper.from_array(weights.astype(numbers), "weights"),
                numpy_helper.from_array(np.array(100, numbers), "hundred"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / name
        onnx.save(
            model, path, save_as_external_data=outside, location=f"{name}.data", size_threshold=0
        )
        return path, weights

    return make


def crop(*colour, height=100, width=50):
    return np.full((height, width, 3), colour, np.uint8)


def expected(weights, *values):
    vector = np.array(values) @ weights
    return vector / np.linalg.norm(vector)


def test_crops_are_given_in_the_style(make_network):
    path, weights = make_network()
    network = FrameNetwork(path, "imagenet")
    found = network.vectors([crop(200, 30, 90)])
    by_hand = (200 - 123.675) / 58.395, (30 - 116.28) / 57.12, (90 - 103.53) / 57.375
    np.testing.assert_allclose(found, [expected(weights, *by_hand)], atol=1e-4)


@pytest.mark.parametrize(
    ("style", "values"),
    [
        ("raw", (200, 30, 90)),
        ("raw-bgr", (90, 30, 200)),
        ("half", (200 / 127.5 - 1, 30 / 127.5 - 1, 90 / 127.5 - 1)),
        ("lite0", (73 / 128, -97 / 128, -37 / 128)),
    ],
)
def test_each_style_has_its_colours(make_network, style, values):
    path, weights = make_network()
    found = FrameNetwork(path, style).vectors([crop(200, 30, 90)])
    np.testing.assert_allclose(found, [expected(weights, *values)], atol=1e-4)


def test_proportions_are_kept_where_the_style_says_so(make_network):
    """A crop as wide as high fills half of an input twice as high; the rest is the mean colour."""
    path, weights = make_network()
    network = FrameNetwork(path, "tao")
    (found,) = network.vectors([crop(255, 255, 255, height=80, width=80)])
    rounded = [round(mean) for mean in STYLES["tao"].mean]  # a border has whole colours
    pairs = zip(STYLES["tao"].mean, rounded, strict=True)
    values = [(255 - mean + (around - mean)) / 2 / 57.63 for mean, around in pairs]
    np.testing.assert_allclose(found, expected(weights, *values), atol=2e-3)


@pytest.mark.parametrize("batch", ["batch", 1, 16])
def test_any_number_of_crops_is_taken(make_network, batch):
    path, _ = make_network(batch=batch)
    network = FrameNetwork(path)
    crops = [crop(value, 255 - value, 7 * value % 256) for value in range(5, 240, 5)]
    alone = np.concatenate([network.vectors([one]) for one in crops])
    np.testing.assert_allclose(network.vectors(iter(crops)), alone, atol=1e-4)
    assert network.vectors([]).shape == (0, 512)


def test_axes_may_have_names_instead_of_sizes(make_network):
    path, weights = make_network(channels="num_channels", size=("height", "width"))
    found = FrameNetwork(path, "raw").vectors([crop(200, 30, 90)])
    np.testing.assert_allclose(found[0], expected(weights, 200, 30, 90), atol=1e-5)


def test_half_precision_is_taken(make_network):
    path, weights = make_network(kind=FLOAT16, scale=0.1)
    found = FrameNetwork(path, "half").vectors([crop(200, 30, 90)])
    assert found.dtype == np.float32
    values = 200 / 127.5 - 1, 30 / 127.5 - 1, 90 / 127.5 - 1
    np.testing.assert_allclose(found, [expected(weights, *values)], atol=2e-3)


def test_weights_beside_the_file_count_for_the_id(make_network):
    path, _ = make_network(outside=True)
    before = FrameNetwork(path).model_id
    data = path.with_name("network.onnx.data")
    content = bytearray(data.read_bytes())
    content[:4] = np.float32(0.5).tobytes()
    data.write_bytes(content)
    assert FrameNetwork(path).model_id != before


def test_ids_tell_files_and_styles_apart(make_network, tmp_path):
    path, _ = make_network()
    one = FrameNetwork(path).model_id
    assert one.startswith("network-imagenet-")
    assert FrameNetwork(path, "half").model_id != one
    make_network(length=256, name="network.onnx")
    assert FrameNetwork(path, "imagenet").model_id != one


@pytest.mark.parametrize(
    ("size", "length", "style"),
    [((256, 128), 512, "imagenet"), ((384, 128), 3_584, "imagenet"), ((256, 128), 256, "tao")],
)
def test_known_shapes_tell_the_style_and_say_so(make_network, size, length, style):
    network = FrameNetwork(make_network(size=size, length=length)[0])
    assert network.style.name == style
    assert f"in the style {style}" in network.note


def test_a_graph_that_subtracts_first_normalises_itself(make_network):
    path, weights = make_network(first="Sub", length=2_048)
    network = FrameNetwork(path)
    assert network.style == STYLES["raw"]
    found = network.vectors([crop(200, 30, 90)])
    np.testing.assert_allclose(found, [expected(weights, 100, -70, -10)], atol=1e-4)


@pytest.mark.parametrize(
    ("length", "asked"), [(1_280, "one of imagenet, half$"), (777, "one of imagenet, half, raw")]
)
def test_unclear_styles_are_asked_for(make_network, length, asked):
    with pytest.raises(ReseenError, match=f"say --style, {asked}"):
        FrameNetwork(make_network(length=length)[0])


def test_unknown_styles_are_refused(make_network):
    with pytest.raises(ReseenError, match="no style caffe"):
        FrameNetwork(make_network()[0], "caffe")


class TestSidecars:
    def beside(self, path: Path, name: str, **facts):
        (path.parent / name).write_text(json.dumps(facts))

    def test_config_of_trackers_is_read(self, make_network):
        path, weights = make_network(length=777)
        facts = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.5], "to_rgb": False}
        self.beside(path, "reid_config.json", input_size=[256, 128], resize_mode="stretch", **facts)
        network = FrameNetwork(path)
        values = (90 / 255 - 0.6) / 0.5, (30 / 255 - 0.5) / 0.25, (200 / 255 - 0.4) / 0.2
        found = network.vectors([crop(200, 30, 90)])
        np.testing.assert_allclose(found, [expected(weights, *values)], atol=1e-4)
        assert network.model_id.startswith("network-sidecar.")
        assert network.note == ""

    def test_metadata_of_boxmot_is_read(self, make_network):
        path, _ = make_network(length=1_280)
        self.beside(path, "network.onnx.metadata.json", img_size=[256, 128], preprocess="resize")
        assert FrameNetwork(path).style == STYLES["imagenet"]

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"img_size": [384, 128]}, "says crops of"),
            ({"sha256": "0" * 64}, "another network"),
            ({"preprocess": "tiles"}, "'tiles', which is not known"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, make_network, facts, reason):
        path, _ = make_network()
        self.beside(path, "network.onnx.metadata.json", **facts)
        with pytest.raises(ReseenError, match=reason):
            FrameNetwork(path)

    @pytest.mark.parametrize("std", [[0.2, 0.2, 0.0], [0.2, 0.2], "0.2", None])
    def test_a_spread_that_is_none_is_refused(self, make_network, std):
        path, _ = make_network()
        self.beside(path, "reid_config.json", mean=[0, 0, 0], std=std)
        with pytest.raises(ReseenError, match="three numbers are needed"):
            FrameNetwork(path)


class TestRefusals:
    def test_constant_vectors(self, make_network):
        path, _ = make_network(scale=0.0)
        with pytest.raises(ReseenError, match="same vector of every crop"):
            FrameNetwork(path)

    def test_infinite_vectors(self, make_network):
        nodes = [
            helper.make_node("GlobalAveragePool", ["crops"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Log", ["flat"], ["vectors"]),
        ]
        path, _ = make_network(nodes=nodes)
        with pytest.raises(ReseenError, match="not finite"):
            FrameNetwork(path, "imagenet")

    def test_crops_that_change_each_other(self, make_network):
        nodes = [
            helper.make_node("GlobalAveragePool", ["crops"], ["pooled"]),
            helper.make_node("ReduceMean", ["pooled"], ["middle"], axes=[0]),
            helper.make_node("Sub", ["pooled", "middle"], ["centred"]),
            helper.make_node("Add", ["centred", "middle_share"], ["moved"]),
            helper.make_node("Flatten", ["moved"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["vectors"]),
        ]
        nodes.insert(2, helper.make_node("Mul", ["middle", "hundred"], ["middle_share"]))
        path, _ = make_network(nodes=nodes)
        with pytest.raises(ReseenError, match="when others are with it"):
            FrameNetwork(path, "imagenet")

    def test_one_vector_for_all(self, make_network):
        nodes = [helper.make_node("ReduceMean", ["crops"], ["vectors"], axes=[0, 2, 3])]
        path, _ = make_network(nodes=nodes, batch=16)
        with pytest.raises(ReseenError, match="one vector for each is needed"):
            FrameNetwork(path, "imagenet")

    @pytest.mark.parametrize("name", ["nanodet_m", "yolox_nano"])
    def test_detectors(self, shared_data, name):
        with pytest.raises(ReseenError, match="one vector for each is needed"):
            FrameNetwork(shared_data / "models" / f"{name}.onnx", "imagenet")

    def test_other_files(self, tmp_path):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no graph")
        with pytest.raises(ReseenError, match="cannot be opened as ONNX"):
            FrameNetwork(broken)
        with pytest.raises(ReseenError, match="does not exist"):
            FrameNetwork(tmp_path / "missing.onnx")


class TestNames:
    def test_lite0_has_its_own_id(self):
        network = open_network("lite0")
        assert (network.model_id, network.dimensions) == ("lite0-57934424", 3_712)
        assert open_network(network.model_id).model_id == network.model_id

    def test_a_trunk_that_was_not_loaded_says_how(self):
        with pytest.raises(ReseenError, match="reseen models get youtu"):
            open_network("youtu")

    def test_other_names_are_refused(self):
        with pytest.raises(ReseenError, match="nobody is neither an ONNX file"):
            open_network("nobody")


class TestFindNetwork:
    """A network that was used before, by its id and where its file lay then."""

    @pytest.fixture(params=sorted(STYLES))
    def used(self, request, make_network):
        path, _ = make_network(length=300)
        return path, open_network(str(path), request.param).model_id

    def test_it_is_found_where_it_was_with_its_style(self, used):
        path, model_id = used
        assert find_network(model_id, str(path)).model_id == model_id

    def test_it_may_have_moved_to_the_folder_of_models(self, used, tmp_path, monkeypatch):
        path, model_id = used
        monkeypatch.setenv("RESEEN_MODELS", str(tmp_path / "models"))
        (tmp_path / "models").mkdir()
        path.rename(tmp_path / "models" / path.name)
        assert find_network(model_id, str(path)).model_id == model_id

    def test_another_file_in_its_place_is_not_taken(self, used, make_network):
        path, model_id = used
        make_network(length=300, scale=2)
        wanted = f"{model_id} lies neither at {path} nor at .*network.onnx; put it there"
        with pytest.raises(ReseenError, match=wanted):
            find_network(model_id, str(path))

    def test_what_has_no_file_is_found_by_its_id(self):
        assert find_network("lite0-57934424", "").model_id == "lite0-57934424"


def test_osnet_is_known_by_its_hash(shared_data):
    network = open_network(str(shared_data / "models" / "osnet_x0_25_msmt17.onnx"))
    assert network.model_id == "osnet-x0-25-imagenet-dddd73c80b78"
    assert network.dimensions == 512
    assert network.note == ""
