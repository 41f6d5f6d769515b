"""What changed between two traces: the culprit is first, and the interval holds what is known."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from steelyard.core.details import TraceFacts
from steelyard.core.trace import Kernel, KernelTime, TraceSummary
from steelyard.tracing.difference import call_s, changes
from steelyard.tracing.traced import TracedCase
from tests.fakes.runs import synthetic_run

KINDS: Mapping[str, Kernel] = {
    "matmul": Kernel(name="product_1", kind="MatMul"),
    "copy": Kernel(name="copy_2", kind="Transpose"),
    "call": Kernel(name="run", kind="call", wrapper=True),
}


CASE = synthetic_run().manifest.cases[0]


def facts(seconds: Mapping[str, float], *, call: float = 1.0, overhead: float = 1.0) -> TraceFacts:
    summary = TraceSummary(
        call_s=call,
        calls=10,
        kernels=tuple(KernelTime(kernel=KINDS[name], seconds=value, times=1.0) for name, value in seconds.items()),
        outside=0,
        overlaps=0,
        resolution_s=1e-9,
        averaged=False,
        dropped=0,
        remarks=(),
    )
    return TraceFacts(
        file="a.npz", sha256="", calls=10, events=10, overhead_ratio=overhead, checked=True, summary=summary
    )


def traced(launches: Sequence[TraceFacts], arm: str = "eager") -> TracedCase:
    return TracedCase(arm=arm, case=CASE, facts=tuple(launches), status="ok", reason="")


def test_a_copy_that_was_added_is_named_first():
    before = traced([facts({"matmul": 0.5, "call": 0.1})])
    after = traced([facts({"matmul": 0.51, "call": 0.1, "copy": 0.2}, call=1.21)])
    first, *_ = changes(before, after, whole_classes=False)
    assert (first.operator_class, first.operator) == ("layout", "Transpose")
    assert (first.before_s, first.after_s) == (0, pytest.approx(0.2))


def test_everything_adds_up_to_the_difference_of_the_calls():
    before = traced([facts({"matmul": 0.5, "call": 0.1}, call=1.0, overhead=1.25)])
    after = traced([facts({"matmul": 0.3, "copy": 0.1}, call=0.9, overhead=1.5)])
    assert (call_s(before), call_s(after)) == (pytest.approx(0.8), pytest.approx(0.6))
    for whole in (False, True):
        found = changes(before, after, whole_classes=whole)
        assert sum(each.difference_s for each in found) == pytest.approx(-0.2)


def test_a_kernel_that_was_compiled_anew_is_the_same_operator():
    renamed = facts({"matmul": 0.5})
    kernels = (KernelTime(kernel=Kernel(name="product_77", kind="MatMul"), seconds=0.4, times=1.0),)
    renamed = dataclasses.replace(renamed, summary=dataclasses.replace(renamed.summary, kernels=kernels))
    found = changes(traced([facts({"matmul": 0.5})]), traced([renamed]), whole_classes=False)
    (product,) = [each for each in found if each.operator_class == "matmul"]
    assert product.difference_s == pytest.approx(-0.1)


def test_few_launches_have_no_interval():
    two = traced([facts({"matmul": 0.5})] * 2)
    assert {each.interval for each in changes(two, two, whole_classes=False)} == {None}


@pytest.mark.statistical
def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        sides = [
            traced([facts({"matmul": mean + spread * random.standard_normal()}) for _ in range(count)])
            for mean, spread, count in ((0.3, 0.01, 3), (0.4, 0.03, 5))
        ]
        (product,) = [each for each in changes(*sides, whole_classes=False) if each.operator_class == "matmul"]
        assert product.interval is not None
        held += product.interval.low <= 0.1 <= product.interval.high
    assert 0.92 <= held / 400 <= 0.99
