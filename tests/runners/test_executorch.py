"""The ExecuTorch runner, held to the contract, and what only it promises."""

import pytest

from steelyard.contract.runner import RunnerContract, lowered_programs
from tests.runners import in_launch

pytestmark = [pytest.mark.backends, pytest.mark.full]
pytest.importorskip("executorch")


class TestExecuTorch(RunnerContract):
    backend = "executorch"
    imports = frozenset({"executorch", "torch"})


@pytest.mark.parametrize("threads", [1, 2])
def test_the_pool_has_the_budgets_threads_and_what_is_delegated_is_told(threads, tmp_path, tmp_path_factory):
    source = """
        runner.start()
        program = runner.load(lowered["decode"])
        program.compile()
        proof = program.proof()
        print(json.dumps([proof.threads, proof.placement, proof.dtype, proof.mismatches, proof.remarks]))
        """
    programs = lowered_programs(("executorch",), tmp_path_factory.getbasetemp())
    count, placement, dtype, mismatches, remarks = in_launch.launch(
        source, backend="executorch", directory=tmp_path, programs=programs, threads=threads
    )
    assert (count, dtype, mismatches) == (threads, "float32", [])
    assert placement["XNNPACK"] > 1  # it takes the products and leaves what picks and masks
    assert remarks == [f"{placement['portable']} operators are not XNNPACK's and run as portable kernels"]
