"""The XLA runner, held to the contract, and what only it promises."""

import pytest

from steelyard.contract import RunnerContract

pytestmark = pytest.mark.backends


class TestXla(RunnerContract):
    backend = "xla"
    imports = frozenset({"jax"})
