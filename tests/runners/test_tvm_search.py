"""Candidates for a kernel: held against the kernel without a schedule, and timed in a process that they may crash."""

import pytest

from steelyard.adapters.tvm_search import Evaluator

pytestmark = [pytest.mark.backends, pytest.mark.full]
tvm = pytest.importorskip("tvm")
SHAPE = (64,)
KINDS = [("float32", SHAPE), ("float32", SHAPE)]


@pytest.fixture
def built(tmp_path):
    """A library with one kernel of one input, whose output is what a function makes of each element."""

    def build(name, compute):
        given = tvm.te.placeholder(SHAPE, "float32")
        output = tvm.te.compute(SHAPE, lambda place: compute(given[place]))
        function = tvm.te.create_prim_func([given, output]).with_attr("global_symbol", "main")
        file = tmp_path / f"{name}.so"
        tvm.compile(function, target="llvm").export_library(str(file))
        return str(file)

    return build


def test_only_a_candidate_with_the_same_answer_is_timed_and_none_ends_the_search(built, tmp_path):
    with Evaluator() as evaluator:
        ask = {"answers": str(tmp_path)}
        assert evaluator.ask(file=built("plain", lambda x: x * 2.0), kinds=KINDS, **ask) == {}
        assert evaluator.ask(file=built("same", lambda x: x + x), **ask)["latency_s"] > 0
        wrong = evaluator.ask(file=built("wrong", lambda x: x * 2.001), **ask)
        assert "latency_s" not in wrong
        assert wrong["reason"].startswith("wrong: argument 1 is 0.00")
        nothing = evaluator.ask(file=built("nothing", lambda x: x * float("nan")), **ask)
        assert nothing["reason"].startswith("wrong: argument 1 is nan off")
        evaluator._process.kill()
        assert evaluator.ask(file=built("again", lambda x: x + x), **ask)["reason"] == "it ended its process with -9"
        assert evaluator.ask(file=built("after", lambda x: x + x), **ask)["latency_s"] > 0
