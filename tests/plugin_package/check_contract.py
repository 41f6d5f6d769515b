"""The contract tests on this package's backends: `pytest check_contract.py`, with the package installed."""

from steelyard.contract.runner import RunnerContract


class TestAten(RunnerContract):
    backend = "aten"
    imports = frozenset({"torch"})


class TestExported(RunnerContract):
    backend = "steelyard_example_plugin.aten:Exported"
    imports = frozenset({"torch"})


class TestPass(RunnerContract):
    backend = "torch_compile:steelyard_example_plugin.passes:drop_idle_views"
