"""The IREE runner, held to the contract, and what only it promises."""

import functools
import json
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.adapters import iree_compiler
from steelyard.contract.runner import RunnerContract, lowered_programs
from steelyard.core.backend import parse_backend
from steelyard.core.errors import SteelyardError, UsageError
from tests.runners import in_launch

pytestmark = pytest.mark.backends
pytest.importorskip("iree.compiler")
launch = functools.partial(in_launch.launch, backend="iree")


class TestIree(RunnerContract):
    backend = "iree"
    imports = frozenset({"iree"})


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return lowered_programs(("stablehlo",), tmp_path_factory.getbasetemp())


def test_the_pool_has_the_budgets_threads_and_what_was_compiled_is_used_again(programs, tmp_path):
    source = """
        import iree.compiler
        runner.start()
        programs = [runner.load(each) for each in lowered.values()]
        asked, compile_file = [], iree.compiler.compile_file
        iree.compiler.compile_file = lambda file, **how: (asked.append(file), compile_file(file, **how))
        for program in programs:
            program.compile()
        proof = programs[0].proof()
        same = programs[0].weights[0] is programs[1].weights[0]
        denormals = proof.budget["denormals"]
        print(json.dumps([proof.threads, proof.platform, proof.mismatches, proof.dtype, denormals, same, len(asked)]))
        """
    facts = [2, "local-task", [], "float32", "count as zero", True]
    request = {"directory": tmp_path, "programs": programs, "threads": 2}
    assert launch(source, **request) == [*facts, 3]  # two programs, and the product of denormal numbers
    assert launch(source, **request) == [*facts, 0]


def test_one_thread_computes_where_the_call_is_made(programs, tmp_path):
    source = """
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        proof = program.proof()
        denormals = proof.budget["denormals"]
        print(json.dumps([proof.threads, proof.platform, denormals, program.memory()["planned_bytes"].value]))
        """
    threads, platform, denormals, planned = launch(source, directory=tmp_path, programs=programs)
    assert (threads, platform, denormals) == (1, "local-sync", "count as zero")
    assert planned > sum(spec.bytes for spec in programs["decode"].program.outputs)


def test_new_state_takes_the_place_of_the_old_without_a_copy(programs, tmp_path):
    source = """
        import iree.runtime
        from steelyard.contract import program as tiny
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        binding = program.bind(tiny.decode_inputs(0))
        binding.run()
        made = runner.on_host(binding.output("cache.0.k")).__array_interface__["data"]
        binding.settle()
        state = len(program.weights) + [spec.name for spec in program.program.inputs].index("cache.0.k")
        given = binding._given.get_as_object(state, iree.runtime.HalBufferView)  # to the next call
        print(json.dumps(made == runner.on_host(given).__array_interface__["data"]))
        """
    assert launch(source, directory=tmp_path, programs=programs) is True


def test_what_the_compiler_cannot_compile_is_told_in_its_own_words(tmp_path):
    module = tmp_path / "bad.mlir"
    module.write_text("func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {\n  return %b : tensor<4xf32>\n}\n")
    with pytest.raises(SteelyardError, match="iree-compile: use of undeclared SSA value name"):
        iree_compiler.compiled(module, ["--iree-llvmcpu-target-cpu=host"], tmp_path)
    assert not list((tmp_path / "iree").glob("*.vmfb"))


def test_products_and_their_types_are_read_off_the_names_of_dispatches():
    names = ["25_matvec_like_192x96_f32", "22_matmul_like_3x32x64_bf16xbf16xf32", "11_elementwise_32_f32"]
    assert [iree_compiler.is_product(name) for name in names] == [True, True, False]
    assert iree_compiler.types_of(names[1]) == ("bfloat16", "bfloat16", "float32")
    assert iree_compiler.types_of("14_scatter_64x32xf32_dispatch_tensor_store") == ("float32",)
    assert iree_compiler.types_of("12_slow_memcpy") == ()


def test_options_reach_the_compiler_and_others_are_refused(tmp_path: Path) -> None:
    kind = plugins.runner("iree")
    for text in ("iree[level=O4]", "iree[fast]"):
        with pytest.raises(UsageError):
            kind.check_options(parse_backend(text))
    source = "print(json.dumps(runner.flags()))"
    asked = "iree[level=O1,data_tiling=off]"
    flags = in_launch.launch(source, directory=tmp_path, programs={}, backend=asked)
    assert flags == ["--iree-opt-level=O1", "--iree-llvmcpu-target-cpu=host", "--iree-opt-data-tiling=false"]


def test_only_what_the_module_computes_is_counted_as_its_dispatches(tmp_path: Path) -> None:
    file = tmp_path / "made.vmfb"
    file.write_bytes(b"\0main_dispatch_0_matmul_2x2_f32\0main_dispatch_0_matmul_2x2_f32|main_dispatch_1_copy\0")
    file.with_suffix(".json").write_text(json.dumps({"stream-aggregate": {"execution": {"dispatch-count": 2}}}))
    made = iree_compiler.Made(file=file)
    assert made.dispatches() == ["0_matmul_2x2_f32", "1_copy"]
    assert made.statistics()["execution"]["dispatch-count"] == 2


def test_a_compilation_tells_its_phases_the_program_after_each_and_its_code(programs, tmp_path):
    source = """
        from steelyard.adapters.iree_compilation import compilation
        runner.start()
        found = [compilation(runner, lowered["decode"]) for _ in range(2)]
        print(wire.encode(found).decode())
        """
    cold, again = launch(source, directory=tmp_path, programs=programs)
    names = [form["name"] for form in cold["representations"]]
    assert (names[0], names[-1]) == ("MLIR after input", "MLIR after vm")
    assert any(name.startswith("linalg.") for name in cold["representations"][0]["operators"])
    assert "util.func" in cold["representations"][0]["text"]
    assert {phase["kind"] for phase in cold["phases"]} >= {"lowering", "native"}
    seconds = sum(phase["own_s"] for phase in cold["phases"])
    assert 0.9 * cold["compile_s"] < seconds <= cold["compile_s"] * (1 + 1e-6)
    assert cold["code"]["bytes"]["value"] > 1000
    assert "SerializeTargetExecutablesPass" in cold["remarks"][0]
    assert (cold["from_cache"], again["from_cache"]) == (False, True)
    assert (again["phases"], again["representations"], again["remarks"]) == ([], [], [])
    assert "compile cache" in again["code"]["bytes"]["reason"]
