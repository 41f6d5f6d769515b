"""The suite `onnx_zoo`: image classifiers as other tools once wrote them to ONNX, with operators of set 9.

The package onnx carries the graphs (`onnx/backend/test/data/light`) with one number in place of every weight. They are
left as they are but for the weights, which are drawn by a seed, so that an answer depends on the image. What reads no
ONNX cannot run them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard import plugins
from steelyard.core.errors import MissingPackage, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.workload import Point, Program, Selection, Suite, TensorSpec, Weights, Work
from steelyard.lowering import choices

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SEED = 9
_FOLDER = "backend/test/data/light"
_IMAGE = (1, 3, 224, 224)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A file, what it takes and gives, the floating-point operations of its convolutions and matrix products, and how
    many numbers its weights are."""

    file: str
    meaning: str
    flop: int
    parameters: int
    ends: tuple[str, str] = ("data_0", "prob_1")
    shape: tuple[int, ...] = (1, 1000)


_BY_CAFFE2 = ("gpu_0/data_0", "gpu_0/softmax_1")
GRAPHS = {
    "alexnet": Graph(
        file="light_bvlc_alexnet.onnx", meaning="AlexNet (Krizhevsky et al., 2012) of Caffe", flop=1_309_120_768,
        parameters=60_965_224,
    ),
    "densenet121": Graph(
        file="light_densenet121.onnx", meaning="DenseNet-121 (Huang et al., 2017)", flop=5_668_323_328,
        parameters=8_145_384, ends=("data_0", "fc6_1"), shape=(1, 1000, 1, 1),
    ),
    "inception_v1": Graph(
        file="light_inception_v1.onnx", meaning="GoogLeNet (Szegedy et al., 2015)", flop=2_863_112_704,
        parameters=6_997_480,
    ),
    "inception_v2": Graph(
        file="light_inception_v2.onnx", meaning="Inception with batch normalisation (Ioffe and Szegedy, 2015)",
        flop=4_037_703_680, parameters=11_229_992,
    ),
    "resnet50": Graph(
        file="light_resnet50.onnx", meaning="ResNet-50 (He et al., 2016)", flop=8_178_368_512, parameters=25_608_360,
        ends=_BY_CAFFE2,
    ),
    "shufflenet": Graph(
        file="light_shufflenet.onnx", meaning="ShuffleNet (Zhang et al., 2018)", flop=249_329_056,
        parameters=1_420_032, ends=_BY_CAFFE2,
    ),
    "squeezenet": Graph(
        file="light_squeezenet.onnx", meaning="SqueezeNet (Iandola et al., 2016)", flop=698_303_872,
        parameters=1_234_856, ends=("data_0", "softmaxout_1"), shape=(1, 1000, 1, 1),
    ),
    "vgg19": Graph(
        file="light_vgg19.onnx", meaning="VGG-19 (Simonyan and Zisserman, 2015)", flop=39_264_124_928,
        parameters=143_667_112,
    ),
    "zfnet512": Graph(
        file="light_zfnet512.onnx", meaning="ZFNet (Zeiler and Fergus, 2014) with 512 maps", flop=2_963_454_016,
        parameters=87_250_536, ends=_BY_CAFFE2,
    ),
}  # fmt: skip


def folder() -> Path:
    """Where the package onnx keeps the graphs; it is not imported. Raises MissingPackage."""
    found = find_spec("onnx")
    if found is None or found.origin is None:
        raise MissingPackage("onnx", "onnxruntime")
    return Path(found.origin).parent / _FOLDER


def points(selection: Selection) -> tuple[Point, ...]:
    """A point for each graph. Raises UsageError for an axis, and MissingPackage without the package onnx."""
    if selection.axes:
        raise UsageError(f"the suite onnx_zoo has no axis '{next(iter(selection.axes))}': its graphs are as they are")
    choices.size(selection, ("full",))
    return tuple(_point(name, GRAPHS[name]) for name in choices.workloads("onnx_zoo", tuple(GRAPHS), selection))


def _point(name: str, graph: Graph) -> Point:
    arguments = {"file": graph.file, "sha256": file_sha256(folder() / graph.file)}
    program = Program(
        name=name,
        source="steelyard.sources.onnx:load",
        arguments={},
        weights=Weights(source=f"{__name__}:write", arguments=arguments, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name=graph.ends[0], shape=_IMAGE, dtype="float32"),),
        outputs=(TensorSpec(name=graph.ends[1], shape=graph.shape, dtype="float32"),),
        kind="onnx",
    )
    return Point(
        suite="onnx_zoo",
        suite_version=1,
        workload=name,
        axes={"size": "full"},
        driver="call",
        programs={"main": program},
        settings={},
        pool=program.source,
        window=None,
        work=Work(flop=graph.flop, weight_bytes=4 * graph.parameters, items=1, unit="images"),
    )


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """The graph with weights of its own: what a constant filled becomes an initializer."""
    import numpy as np
    from onnx import TensorProto, load, numpy_helper, save

    del local
    model = load(folder() / arguments["file"])
    graph, random = model.graph, np.random.default_rng(_SEED)
    held = {each.name: each for each in graph.initializer}
    fills = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    shapes = {node.output[0]: tuple(numpy_helper.to_array(held[node.input[0]])) for node in fills}
    shapes |= {name: tuple(each.dims) for name, each in held.items() if each.data_type == TensorProto.FLOAT}
    for node in fills:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    kept = [each for name, each in held.items() if name in used and name not in shapes]
    drawn = [
        numpy_helper.from_array(_drawn(*_use(graph, name), shape, random).astype(np.float32), name)
        for name, shape in shapes.items()
        if name in used
    ]
    given = [value for value in graph.input if value.name not in held]
    for field, entries in ((graph.initializer, [*kept, *drawn]), (graph.input, given)):
        del field[:]
        field.extend(entries)
    model.ir_version = 4  # before it, weights were inputs with defaults, which nothing may fold
    _spread(model, 2.0)
    save(model, directory / "drawn.onnx")
    plugins.source("onnx").keep(directory / "drawn.onnx", directory)
    (directory / "drawn.onnx").unlink()


def _spread(model: Any, wanted: float) -> None:
    """Scale the last matrix so that the scores before Softmax have about this standard deviation for one image: far
    above it one class would have all of it for any image."""
    import numpy as np
    import onnxruntime
    from onnx import numpy_helper

    graph = model.graph
    last = next(
        (node for node in graph.node if node.op_type == "Gemm" and _user(graph, node.output[0]).op_type == "Softmax"),
        None,
    )
    if last is None:
        return
    shown = type(model)()
    shown.CopyFrom(model)
    shown.graph.output.add().name = last.output[0]
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(_SEED).standard_normal(_IMAGE).astype(np.float32)
    scores = session.run([last.output[0]], {graph.input[0].name: image})[0]
    held, name = {each.name: each for each in graph.initializer}, last.input[1]
    while name not in held:  # reshaped before it is used
        name = next(node.input[0] for node in graph.node if name in node.output)
    matrix = held[name]
    factor = 2.0 ** round(math.log2(wanted / scores.std()))  # a power of two: the same on every machine
    matrix.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrix) * np.float32(factor), matrix.name))


def _use(graph: Any, name: str) -> tuple[str, int, bool]:
    """The operator that a weight is for, its place among the inputs there, and whether it is transposed."""
    node = _user(graph, name)
    if node.op_type == "Unsqueeze":
        return _use(graph, node.output[0])
    return node.op_type, list(node.input).index(name), any(each.name == "transB" and each.i for each in node.attribute)


def _user(graph: Any, name: str) -> Any:
    return next(node for node in graph.node if name in node.input)


def _drawn(
    operator: str, place: int, transposed: bool, shape: tuple[int, ...], random: "np.random.Generator"
) -> "Array":
    """Numbers with which activations neither vanish nor grow from layer to layer (He et al., 2015)."""
    if operator in ("Conv", "Gemm") and place == 1:
        inputs = math.prod(shape[1:]) if operator == "Conv" or transposed else shape[0]
        return random.normal(0, math.sqrt(2 / inputs), shape)
    if (operator, place) in (("BatchNormalization", 4), ("BatchNormalization", 1), ("Mul", 1)):
        return random.uniform(0.5, 1.5, shape)
    return random.normal(0, 0.1, shape)


SUITE = Suite(
    name="onnx_zoo",
    version=1,
    question="How fast are graphs that other tools wrote, on runtimes that read ONNX?",
    headline="resnet50",
    workloads={name: graph.meaning for name, graph in GRAPHS.items()},
    sizes=("full",),
    axes=(),
    points=points,
)
