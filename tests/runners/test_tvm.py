"""The runner of TVM, held to the contract, and what only it promises."""

import re

import pytest

from steelyard.contract.runner import RunnerContract, lowered_programs
from tests.runners import in_launch

pytestmark = [pytest.mark.backends, pytest.mark.full]
pytest.importorskip("tvm")


class TestTvmUntuned(RunnerContract):
    backend = "tvm_untuned"
    imports = frozenset({"tvm"})


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return lowered_programs(("tvm",), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_pool_has_the_budgets_threads_and_what_is_not_searched_for_is_told(threads, programs, tmp_path):
    source = """
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        proof = program.proof()
        print(json.dumps([proof.threads, proof.dtype, proof.mismatches, proof.budget["denormals"], *proof.remarks]))
        """
    asked = {"backend": "tvm_untuned", "directory": tmp_path, "programs": programs, "threads": threads}
    *found, told = in_launch.launch(source, **asked)
    assert found == [threads, "float32", [], "kept"]
    assert re.fullmatch(r"untuned: no schedule was searched for, \d of \d\d functions have a parallel loop", told)


def test_fusion_leaves_fewer_functions_and_the_same_answer(programs, tmp_path):
    source = """
        from steelyard.contract import program as tiny
        runner.start()
        program = runner.load(lowered["prefill"])
        program.compile()
        binding = program.bind({"input_ids": tiny.prompt_ids(0)})
        binding.run()
        print(json.dumps([program.proof().placement["llvm"], binding.read()["logits"].ravel().tolist()]))
        """
    request = {"directory": tmp_path, "programs": programs}
    (plain, logits), (fused, same) = (
        in_launch.launch(source, backend=backend, **request) for backend in ("tvm_untuned", "tvm_untuned[fusion=on]")
    )
    assert fused < plain
    assert same == pytest.approx(logits, rel=1e-4, abs=1e-5)


def test_a_compilation_tells_its_passes_the_module_before_and_after_and_its_code(programs, tmp_path):
    source = """
        from steelyard.adapters.tvm_compilation import compilation
        runner.start()
        print(wire.encode(compilation(runner, lowered["decode"])).decode())
        """
    asked = {"backend": "tvm_untuned[fusion=on]", "directory": tmp_path, "programs": programs}
    found = in_launch.launch(source, **asked)
    before, after, loops = found["representations"]
    assert "matmul" in " ".join(before["operators"])
    assert after["operators"]["call of loops"] > 10
    assert loops["operators"]["grid"] > 10
    assert "@T.prim_func" in loops["text"]
    phases = {phase["name"]: phase for phase in found["phases"]}
    assert "FuseOps" in str(phases["lowering"]["parts"])
    assert phases["loading into the virtual machine"]["own_s"] > 0
    assert found["code"]["bytes"]["value"] > 1000
