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
        print(json.dumps([proof.threads, proof.placement, proof.mismatches, proof.remarks]))
        """
    programs = lowered_programs(("executorch",), tmp_path_factory.getbasetemp())
    count, placement, mismatches, remarks = in_launch.launch(
        source, backend="executorch", directory=tmp_path, programs=programs, threads=threads
    )
    assert (count, mismatches) == (threads, [])
    assert placement["XNNPACK"] > 1  # it takes the products and leaves what picks and masks
    assert remarks == [f"{placement['portable']} operators run as portable kernels, without threads or vectors"]
