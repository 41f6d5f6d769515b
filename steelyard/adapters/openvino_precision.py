"""What an OpenVINO model was compiled to: its precisions and properties, judged against what was asked for."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from steelyard.adapters import denormals

DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_HOLDS = {"float32": ("f32", "f64"), "float16": ("f16", "f32", "f64"), "bfloat16": ("bf16", "f32", "f64")}
"""Types that hold every value of a dtype: computing in them is no loss of precision."""

_MATRIX = ("FullyConnected", "MatMul", "Convolution", "Deconvolution")
_MOVES = ("Const", "Transpose", "Reorder", "Reshape", "Convert")
"""What computes nothing: a model may hold its weights in a narrower type than it computes in."""


READ_BACK = (
    "EXECUTION_DEVICES",
    "INFERENCE_PRECISION_HINT",
    "INFERENCE_NUM_THREADS",
    "NUM_STREAMS",
    "PERFORMANCE_HINT",
    "EXECUTION_MODE_HINT",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "SCHEDULING_CORE_TYPE",
    "CPU_DENORMALS_OPTIMIZATION",
    "KV_CACHE_PRECISION",
    "KEY_CACHE_PRECISION",
    "VALUE_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "LOADED_FROM_CACHE",
)
"""Properties that a proof tells of a compiled model, as far as the plugin has them."""


def narrower(dtype: str, hint: str, nodes: list[tuple[str, str]]) -> list[str]:
    """What computes in a type that cannot hold `dtype`: the hint in force, and nodes of the runtime graph."""
    holds, said = _HOLDS[dtype], []
    if hint not in holds:
        said.append(f"INFERENCE_PRECISION_HINT is {DTYPES.get(hint, hint)}, the program is {dtype}")
    bad = Counter(
        precision
        for kind, precision in nodes
        if precision not in holds
        and kind not in _MOVES
        and (precision in DTYPES or (kind in _MATRIX and precision in ("i8", "u8", "i4", "u4")))
    )
    said += [f"{count} nodes compute in {DTYPES.get(name, name)}" for name, count in sorted(bad.items())]
    return said


def unquantized(kind: str, nodes: list[tuple[str, str]]) -> list[str]:
    """Whether a quantized model was compiled to one without integers: products that compute in them where activations
    are quantized, weights that are held in them where these alone are."""
    integers = ("i8", "u8", "i4", "u4")
    found = [of for of, precision in nodes if precision in integers]
    if kind == "int8" and not any(of in _MATRIX for of in found):
        return ["no product of the compiled model computes in 8 bits"]
    return [] if found else ["nothing of the compiled model is held in integers"]


def unlike(config: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Properties that the compiled model has otherwise than they were asked for.

    Threads and the precision hint are judged apart. Pinning is only recorded: OpenVINO leaves it off where
    it cannot pin.
    """
    names = ("NUM_STREAMS", "CPU_DENORMALS_OPTIMIZATION", "DYNAMIC_QUANTIZATION_GROUP_SIZE", "KV_CACHE_PRECISION")
    return [
        f"{name} is {found[name]}, asked for was {config[name]}"
        for name in names
        if name in config and name in found and str(found[name]) != str(config[name])
    ]


def matrix_types(nodes: list[tuple[str, str]]) -> str:
    """What the matrix products of the runtime graph compute in."""
    return ", ".join(sorted({precision for kind, precision in nodes if kind in _MATRIX})) or "no products"


def nodes_of(compiled: Any, *, always: bool) -> tuple[list[tuple[str, str]], str]:
    """Kind and precision of each node of the runtime graph, and why a plugin that shows none does not. `always`: the
    plugin has one to show, so that an error is one."""
    try:
        model = compiled.get_runtime_model()
    except RuntimeError as error:
        if always:
            raise
        return [], str(error).strip().splitlines()[-1]
    return [_node(each.get_rt_info()) for each in model.get_ops()], ""


def _node(info: Any) -> tuple[str, str]:
    """Kind and precision of a node of the runtime graph. Of a product it is the type that its kernel computes in, as
    the kernel's name ends with it: what else is told may be the type of the weights that it reads."""
    keys = ("layerType", "runtimePrecision", "primitiveType")
    kind, precision, kernel = (str(info[key].astype(str)) if key in info else "unknown" for key in keys)
    computes_in = kernel.rpartition("_")[2]
    return kind, computes_in if kind in _MATRIX and computes_in in DTYPES else precision


def denormals_of(core: Any, device: str, config: Mapping[str, Any]) -> str:
    """What becomes of products of denormal numbers in a model of its own that is compiled with these properties."""
    import numpy as np
    from openvino import Model, opset15

    given = np.full(1 << 17, denormals.TINY, np.float32)
    parameter = opset15.parameter(given.shape, np.float32)
    model = Model([opset15.multiply(parameter, opset15.constant(np.float32(1.5)))], [parameter], "denormals")
    product = core.compile_model(model, device, config)(given)[0]
    return denormals.in_words(int(np.count_nonzero(product.view(np.uint32))), given.size)


def plain(value: Any) -> Any:
    """A property's value as JSON has it."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):
        return [str(each) for each in value]
    return value.get_type_name() if hasattr(value, "get_type_name") else getattr(value, "name", str(value))


def short(dtype: str) -> str:
    """`float32` as `f32`, `int64` as `i64`, `uint8` as `u8`."""
    return dtype.replace("float", "f").replace("uint", "u").replace("int", "i")
