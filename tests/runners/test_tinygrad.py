"""The tinygrad runner, held to the contract, and what only it promises."""

import shutil

import pytest

from steelyard.contract.runner import RunnerContract, lowered_programs
from tests.runners import in_launch

pytestmark = [
    pytest.mark.backends,
    pytest.mark.full,
    pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed"),
]
pytest.importorskip("tinygrad")


class TestTinygrad(RunnerContract):
    backend = "tinygrad"
    imports = frozenset({"tinygrad"})


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kernel_takes_as_many_threads_as_the_budget_has(threads, tmp_path, tmp_path_factory):
    source = """
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        proof = program.proof()
        print(json.dumps([proof.threads, proof.placement, proof.dtype, proof.budget["denormals"]]))
        """
    programs = lowered_programs(("onnx@20",), tmp_path_factory.getbasetemp())
    count, placement, dtype, denormals = in_launch.launch(
        source, backend="tinygrad", directory=tmp_path, programs=programs, threads=threads
    )
    assert (count, dtype) == (threads, "float32")
    assert placement["CPU"] > 1
    assert "kept" in denormals or "count as zero" in denormals
