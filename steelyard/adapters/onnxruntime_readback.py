"""What a session of ONNX Runtime says of itself, beside what was asked for."""

from collections.abc import Mapping
from typing import Any

from steelyard.adapters.onnxruntime_binding import ONNX_TYPES
from steelyard.core.result import untold
from steelyard.core.workload import TensorSpec

_NEVER_ASKED = (
    "session.set_denormal_as_zero",
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "session.qdq_matmulnbits_accuracy_level",
    "session.intra_op_thread_affinities",
)
"""Entries that would change numbers or places behind the budget's back: a session that holds one is a mismatch."""
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinear", "QGemm", "MatMulNBits")


def dtypes(session: Any, declared: tuple[TensorSpec, ...]) -> tuple[str, list[str]]:
    """The floating-point types of the outputs, else of the inputs, and outputs of another type than declared, which
    stand in the order of the session's.

    A session tells the types of its ends alone: of a program that has only whole numbers there, nothing is told.
    """
    known = {name: dtype for dtype, (name, _) in ONNX_TYPES.items()}
    inputs, outputs = (
        [known.get(node.type, node.type) for node in nodes] for nodes in (session.get_inputs(), session.get_outputs())
    )
    unlike = [
        f"output '{spec.name}' is {found}, the program says {spec.dtype}"
        for spec, found in zip(declared, outputs, strict=True)
        if found != spec.dtype
    ]
    for ends in (outputs, inputs):
        if floats := sorted({dtype for dtype in ends if "float" in dtype}):
            return ", ".join(floats), unlike
    return "not told", unlike


def options_unlike(session: Any, tuning: Mapping[str, Any], config: Mapping[str, str]) -> list[str]:
    """Options that the session holds otherwise than they were asked for. Threads are counted instead."""
    held = session.get_session_options()
    unlike: list[tuple[str, Any, Any]] = [
        ("inter_op_num_threads", held.inter_op_num_threads, 1),
        ("enable_cpu_mem_arena", held.enable_cpu_mem_arena, tuning["cpu_arena"]),
        ("graph_optimization_level", held.graph_optimization_level.name, tuning["graph_optimization"]),
        ("execution_mode", held.execution_mode.name, "ORT_SEQUENTIAL"),
    ]
    unlike += [(key, _entry(held, key), value) for key, value in config.items()]
    unlike += [(key, _entry(held, key), None) for key in _NEVER_ASKED]
    return [f"the session has {name} = {found}, not {value}" for name, found, value in unlike if found != value]


def unquantized(operators: Mapping[str, int]) -> list[str]:
    """Whether a session that was given a quantized model has taken no quantized operator of it."""
    quantized = sum(count for kind, count in operators.items() if kind.startswith(_QUANTIZED) or "Integer" in kind)
    return [] if quantized else ["no operator of the session is quantized"]


def kept_budget(session: Any, tf32: Any) -> dict[str, Any]:
    """What is read back of the budget, in the common words."""
    held = session.get_session_options()
    spinning = _entry(held, "session.intra_op.allow_spinning")
    return {
        "inter_op": held.inter_op_num_threads,
        "waiting": {"1": "spin, then sleep", "0": "sleep"}.get(spinning or "", untold("no entry of the session")),
        "matrix_precision": untold("kernels do not tell; no entry of the session allows less than the dtype"),
        "tf32": tf32,
        "denormals": "count as zero" if _entry(held, "session.set_denormal_as_zero") == "1" else "kept",
        "denormals_told_by": "session option",
    }


def _entry(held: Any, key: str) -> str | None:
    """A configuration entry of a session's options; None where they hold none."""
    try:
        return str(held.get_session_config_entry(key))
    except RuntimeError:  # how ONNX Runtime says that there is no such entry
        return None
