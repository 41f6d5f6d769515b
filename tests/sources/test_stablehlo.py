"""A file of StableHLO: read, referenced in float64 by its text, run by XLA alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.core.errors import CheckpointError, UsageError
from tests.sources.own import FORMATS, lowered, point, statuses

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
pytest.importorskip("torch")

from steelyard.sources.stablehlo import SOURCE  # noqa: E402
from steelyard.sources.stablehlo.widened import widened  # noqa: E402

WEIGHTS = np.random.default_rng(0).standard_normal((8, 50)).astype("float32")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def net(x: Any, ids: Any) -> Any:
    hidden = jnp.tanh(x @ WEIGHTS * 0.125) * 0.1
    return jax.nn.softmax(hidden), jnp.max(jnp.where(hidden > 0, hidden, -jnp.inf)), jnp.take(hidden, ids, axis=1)


def saved(folder: Path, suffix: str = ".mlir") -> Path:
    """The net on 4 rows, with 64-bit places as PyTorch's converters write them."""
    from jax.export import export

    with jax.enable_x64(True):
        ends = (jax.ShapeDtypeStruct((4, 8), jnp.float32), jax.ShapeDtypeStruct((3,), jnp.int64))
        made = export(jax.jit(net))(*ends)
    path = folder / f"net{suffix}"
    path.write_bytes(made.mlir_module().encode() if suffix == ".mlir" else made.mlir_module_serialized)
    return path


def test_text_and_bytecode_are_the_same_program(tmp_path: Path) -> None:
    text, code = (point(saved(tmp_path, suffix)).programs["main"] for suffix in (".mlir", ".mlirbc"))
    assert [f"{spec.name} {spec.declared}" for spec in (*text.inputs, *text.outputs)] == [
        "arg0 float32[4, 8]",
        "arg1 int64[3]",
        "result0 float32[4, 50]",
        "result1 float32[]",
        "result2 float32[4, 3]",
    ]
    assert (text.inputs, text.outputs) == (code.inputs, code.outputs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a program of StableHLO|no function 'main'"),
        ("module {", "not a program of StableHLO"),
        ("ML\xefR\x00", "not a program of StableHLO"),
        ("func.func @other() { return }", "it has no function 'main'"),
        (
            "func.func @main(%a: tensor<?x8xf32>) -> tensor<?x8xf32> { return %a : tensor<?x8xf32> }",
            r"'arg0' is \['\?', 8\], with open extents: export fixed shapes",
        ),
        (
            "func.func @main(%a: tensor<8xf32>) -> tensor<8xf32> { %b = stablehlo.custom_call @xla_python_cpu_callback"
            '(%a) {backend_config = "140234"} : (tensor<8xf32>) -> tensor<8xf32> return %b : tensor<8xf32> }',
            "it calls 'xla_python_cpu_callback', which is no operator of StableHLO",
        ),
    ],
)
def test_what_is_no_program_that_can_be_run_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "net.mlir"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(CheckpointError, match=said):
        point(path)


@pytest.mark.parametrize("suffix", [".mlir", ".mlirbc"])
def test_a_cut_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"not a program of StableHLO|ended the process"):
        point(path)


def test_types_and_shapes_that_are_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text("func.func @main(%a: tensor<8xui32>) -> tensor<8xui32> { return %a : tensor<8xui32> }")
    with pytest.raises(UsageError, match="'arg0' is of type ui32, which is not measured here"):
        SOURCE.program_of(path, {})
    with pytest.raises(UsageError, match=r"\[5, 8\] does not fit \[4, 8\]"):
        SOURCE.program_of(saved(tmp_path), {"arg0": (5, 8)})


def test_constants_are_widened_to_the_last_digit() -> None:
    text = (
        "%0 = stablehlo.constant dense<[0.1, -2.5e+00, 0xFF800000]> : tensor<3xf32>\n"
        '%1 = stablehlo.constant dense<"0x0000803F00000040"> : tensor<2xf32>\n'
        "%2 = stablehlo.constant dense<7> : tensor<i32>"
    )
    wide = widened(text)
    assert f"{float(np.float32(0.1)):.17e}, -2.50000000000000000e+00, 0xFFF0000000000000]> : tensor<3xf64>" in wide
    assert 'dense<"0x000000000000F03F0000000000000040"> : tensor<2xf64>' in wide
    assert "dense<7> : tensor<i32>" in wide


@pytest.mark.backends
def test_references_are_in_float64_and_agree_with_numpy(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    path = saved(tmp_path)
    found = lowered(path, point(path), tmp_path)
    program = found.programs["main"]
    assert set(program.artifacts) == {"stablehlo"}
    assert set(program.failures) == {*FORMATS, "module"} - {"stablehlo"}
    assert "which other runtimes cannot read" in program.failures["onnx"]
    assert found.reference_by == "XLA without optimisation, of the program written in float64"
    inputs, reference = load_file(found.pool[0].inputs), load_file(found.pool[0].reference)
    hidden = np.tanh(inputs["arg0"].astype("float64") @ WEIGHTS * 0.125) * float(np.float32(0.1))
    np.testing.assert_allclose(reference["result2"], hidden[:, inputs["arg1"]], rtol=1e-12)
    assert all(each.limit < 1e-4 for each in found.tolerances.values())


@pytest.mark.backends
def test_where_the_text_cannot_be_widened_the_row_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(
        "func.func @main(%a: tensor<8xf32>) -> tensor<8xi32> {\n"
        "  %b = stablehlo.bitcast_convert %a : (tensor<8xf32>) -> tensor<8xi32>\n"
        "  return %b : tensor<8xi32>\n}"
    )
    found = lowered(path, point(path), tmp_path, formats=())
    assert found.reference_by.startswith("XLA without optimisation, in float32, as no float64 was to be had: the same")


@pytest.mark.backends
def test_compilers_of_stablehlo_run_it_and_every_other_backend_says_why_not(tmp_path: Path) -> None:
    others = dict.fromkeys(("eager", "inductor", "onnxruntime", "openvino"), "unsupported")
    found = statuses(saved(tmp_path), cwd=tmp_path, backends="all,iree")
    assert found == {"xla": "ok", "iree": "ok", **others}
