"""Phases of compilations: own times from events that are nested, parallel, cut off, or short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.compilation import Phase
from steelyard.measure.phases import Span, contained, folded, phases

WINDOW_NS = 1000.0


def span(name, begin, end, parent=None, kind=None):
    return Span(name=name, begin_ns=begin, end_ns=end, parent=parent, kind=kind)


def told(found):
    return {phase.name: round(phase.own_s * 1e9, 6) for phase in found}


def total_ns(found):
    return sum(phase.seconds for phase in found) * 1e9


def test_a_part_is_taken_from_what_it_is_part_of():
    (compile_,) = phases([span("compile", 0, 1000, kind="other"), span("pass", 200, 500, 0, "passes")], 0, WINDOW_NS)
    (pass_,) = compile_.parts
    assert (compile_.own_s, compile_.seconds) == (pytest.approx(700e-9), pytest.approx(1000e-9))
    assert (pass_.own_s, pass_.kind) == (pytest.approx(300e-9), "passes")


def test_what_waits_for_its_parts_on_other_threads_has_no_time_and_they_share_it():
    spans = [span("wait", 0, 1000), span("one", 100, 500, 0), span("two", 300, 900, 0)]
    (wait,) = phases(spans, 0, WINDOW_NS)
    assert wait.own_s == pytest.approx(200e-9)
    assert told(wait.parts) == {"two": pytest.approx(500), "one": pytest.approx(300)}


def test_spans_of_one_name_in_one_place_are_one_phase_and_a_kind_is_inherited():
    spans = [span("passes", 0, 900, kind="passes"), *(span("cse", at, at + 100, 0) for at in (0, 200, 400))]
    (passes,) = phases(spans, 0, WINDOW_NS)
    (cse,) = passes.parts
    assert (cse.times, cse.kind, cse.own_s) == (3, "passes", pytest.approx(300e-9))


def test_what_lies_outside_of_the_compilation_is_cut_off():
    found = phases([span("before", -500, -100), span("early", -100, 100), span("late", 900, 2000)], 0, WINDOW_NS)
    assert total_ns(found) == pytest.approx(200)


def test_a_short_phase_is_told_with_others_of_its_kind():
    many = [span(f"pass {n}", n, n + 0.1, kind="passes") for n in range(40)]
    found = phases([*many, span("codegen", 100, 900, kind="codegen")], 0, WINDOW_NS)
    assert [(each.name, each.times) for each in found] == [("codegen", 1), ("40 shorter ones", 40)]
    assert total_ns(found) == pytest.approx(804)
    lone = Phase(name="lone", kind="load", own_s=1e-9)
    assert folded([lone], 1.0) == (lone,), "one alone keeps its name"


def test_a_short_phase_with_parts_of_another_kind_keeps_them():
    part = Phase(name="pass", kind="passes", own_s=1e-6)
    found = folded([Phase(name=f"module {n}", kind="codegen", own_s=1e-6, parts=(part,)) for n in range(3)], 1.0)
    assert [(each.kind, [inner.kind for inner in each.parts]) for each in found] == [("codegen", ["passes"])] * 3


@pytest.mark.parametrize("wrong", [span("backwards", 10, 5), span("part of what follows", 0, 5, 1)])
def test_spans_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=wrong.name):
        phases([wrong], 0, WINDOW_NS)


@given(st.lists(st.tuples(st.integers(-50, 1050), st.integers(0, 400), st.integers(0, 3)), max_size=25))
def test_own_times_add_up_to_the_time_in_which_anything_ran(drawn):
    spans = []
    for thread in range(4):
        own = contained(span(f"{n % 5}", at, at + lasted) for n, (at, lasted, t) in enumerate(drawn) if t == thread)
        offset = len(spans)
        spans += [
            span(each.name, each.begin_ns, each.end_ns, None if each.parent is None else each.parent + offset)
            for each in own
        ]
    ran = {at for each in spans for at in range(max(int(each.begin_ns), 0), min(int(each.end_ns), 1000))}
    assert total_ns(phases(spans, 0, WINDOW_NS)) == pytest.approx(len(ran))
