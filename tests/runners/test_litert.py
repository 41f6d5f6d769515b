"""The LiteRT runner, held to the contract in the environment that it needs, and what only it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.adapters.litert_conversion import executed_nodes
from steelyard.contract.runner import RunnerContract
from steelyard.core.backend import parse_backend
from steelyard.core.errors import UsageError
from steelyard.environments.kept import find

LITERT = "litert@latest"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """That of the runner, made as the README says where it is not there yet: a minute or two."""
    try:
        find(parse_backend(LITERT))
    except UsageError:
        pinned = Path(__file__).parents[2] / "constraints/litert-py311.txt"
        command = [sys.executable, "-m", "steelyard", "env", "create", "litert", "--constraint", str(pinned)]
        subprocess.run(command, check=True, timeout=900)


@pytest.mark.backends
@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("environment")
class TestLiteRT(RunnerContract):
    backend = LITERT
    imports = frozenset({"ai_edge_litert"})


def node(index, inputs, outputs):
    return {"index": index, "op_name": f"NODE_{index}", "inputs": inputs, "outputs": outputs}


def test_what_a_delegate_has_taken_is_not_executed_beside_it():
    # 0 and 1 stand before the delegate 3 that computes their tensors; 2 is left to LiteRT; -1 is an input left out.
    listed = [node(0, [10], [11]), node(1, [11, 20], [12]), node(2, [12, -1], [13]), node(3, [10, 20], [12])]
    assert [each["op_name"] for each in executed_nodes(listed, [13])] == ["NODE_2", "NODE_3"]


def test_a_node_is_executed_once_however_many_read_it():
    listed = [node(0, [10], [11]), node(1, [11], [12]), node(2, [11, 12], [13])]
    assert [each["index"] for each in executed_nodes(listed, [13, 11])] == [0, 1, 2]
