"""The questions of a search and their points."""

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.engine.search import find_sweep, point_at, questions

SUITE = plugins.suite("llm")


def selection(**axes: tuple[str, ...]) -> Selection:
    return Selection(device_kind="cpu", size="tiny", axes=axes)


def test_a_question_is_a_workload_with_all_axes_but_the_searched_ones() -> None:
    found = questions(SUITE, selection(model=("smollm2", "qwen3")), find_sweep(SUITE, "context"))
    assert [(each.workload, each.fixed["model"]) for each in found] == [
        (workload, model) for workload in SUITE.workloads for model in ("smollm2", "qwen3")
    ]
    assert all({"prompt", "position", "capacity"}.isdisjoint(each.fixed) for each in found)


@pytest.mark.parametrize(
    ("workload", "axes"),
    [
        ("prefill", {"prompt": 48, "capacity": 48}),
        ("decode", {"position": 47, "capacity": 48}),
        ("generate", {"prompt": 40, "tokens": 8, "capacity": 48}),
    ],
)
def test_a_context_fills_the_cache_to_its_last_place(workload: str, axes: dict[str, int]) -> None:
    sweep = find_sweep(SUITE, "context")
    asked = next(each for each in questions(SUITE, selection(), sweep) if each.workload == workload)
    point = point_at(SUITE, selection(), sweep, asked, 48)
    assert axes.items() <= point.axes.items()


def test_a_batch_changes_nothing_else() -> None:
    sweep = find_sweep(SUITE, "batch")
    asked = questions(SUITE, selection(), sweep)[0]
    one, four = (point_at(SUITE, selection(), sweep, asked, value) for value in (1, 4))
    assert {**one.axes, "batch": 4} == four.axes


def test_a_value_beyond_the_model_is_refused_with_the_suites_reason() -> None:
    sweep = find_sweep(SUITE, "context")
    asked = questions(SUITE, selection(), sweep)[0]
    with pytest.raises(UsageError, match="positions"):
        point_at(SUITE, selection(), sweep, asked, 1 << 24)


def test_an_axis_that_is_searched_cannot_be_set_and_unknown_quantities_are_named() -> None:
    with pytest.raises(UsageError, match="what is searched"):
        questions(SUITE, selection(batch=("4",)), find_sweep(SUITE, "batch"))
    with pytest.raises(UsageError, match="did you mean 'batch'"):
        find_sweep(SUITE, "batches")
    with pytest.raises(UsageError, match="unknown axis 'contxt'"):
        questions(SUITE, selection(contxt=("5",)), find_sweep(SUITE, "batch"))
