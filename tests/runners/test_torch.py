"""The runners on PyTorch, held to the contract, and what only they promise."""

import pytest

from steelyard.contract import RunnerContract

pytestmark = pytest.mark.backends


class TestEager(RunnerContract):
    backend = "eager"
    imports = frozenset({"torch"})


class TestInductor(RunnerContract):
    backend = "inductor"
    imports = frozenset({"torch"})


class TestRegisteredBackend(RunnerContract):
    backend = "torch_compile:aot_eager"
    imports = frozenset({"torch"})


class TestInductorAheadOfTime(RunnerContract):
    backend = "inductor[aot]"
    imports = frozenset({"torch"})
