"""Work of one call: what compilers count beside the suite's own count, and the bytes that cannot be avoided."""

from dataclasses import replace

import pytest

from steelyard import plugins
from steelyard.analysis.work_per_call import TOLERANCE, checks, traffic_bytes
from steelyard.core.lowered import WorkCount
from steelyard.core.workload import Selection, StateWindow, TensorSpec
from steelyard.lowering.points import points_of
from steelyard.measure.driver import driver_of
from tests.fakes.ceilings import held_against
from tests.fakes.runs import TOKENS, llm_points, synthetic_run

WEIGHTS = 538_060_800


def point(workload):
    return llm_points((workload,))[0]


def facts_of(workload, **counted):
    run = synthetic_run(backends=("eager",), points=llm_points((workload,)), rounds=1, headline=workload)
    (facts,) = held_against(run, None, counted=counted).manifest.lowered.values()
    return facts


@pytest.mark.parametrize("workload", ["prefill", "decode", "generate"])
def test_a_count_within_the_tolerance_agrees_and_one_beyond_it_is_shown_as_such(workload):
    facts = facts_of(workload, torch=1 + 0.9 * TOLERANCE, xla=1 + 1.1 * TOLERANCE)
    torch, xla = checks(point(workload), facts)
    assert (torch.origin, torch.agreement) == ("torch", "agrees")
    assert (xla.origin, xla.agreement) == ("xla", "differs")
    assert torch.ratio == pytest.approx(1 + 0.9 * TOLERANCE)
    assert xla.flop == pytest.approx(point(workload).work.flop * (1 + 1.1 * TOLERANCE))


def test_generate_counts_its_prefill_once_and_its_decode_for_every_further_token():
    assert driver_of(point("generate")).runs(point("generate")) == {"prefill": 1, "decode": TOKENS - 1}
    assert driver_of(point("decode")).runs(point("decode")) == {"main": 1}
    (check,) = checks(point("generate"), facts_of("generate", xla=1.0))
    assert check.bytes == pytest.approx(5e8 * TOKENS)


def test_one_program_without_a_count_leaves_the_point_without_one_and_says_why():
    facts = facts_of("generate", xla=1.0)
    lost = replace(facts, work={**facts.work, "decode/xla": WorkCount(flop=None, reason="jaxlib failed")})
    (check,) = checks(point("generate"), lost)
    assert (check.flop, check.agreement, check.reason) == (None, "not counted", "jaxlib failed")
    assert checks(point("generate"), None) == ()


def test_bytes_without_a_count_of_them_are_absent_and_never_zero():
    facts = facts_of("decode", torch=1.0)
    (check,) = checks(point("decode"), replace(facts, work={"main/torch": WorkCount(flop=3e8)}))
    assert check.flop == 3e8
    assert check.bytes is None


def test_a_decode_step_moves_its_weights_and_the_filled_places_of_its_state():
    step = point("decode")
    program = step.programs["main"]
    data = sum(spec.bytes for spec in (*program.inputs, *program.outputs) if spec.role == "data")
    state = sum(spec.bytes for spec in program.state)
    capacity = program.state[0].shape[2] if program.state else 1
    moved = traffic_bytes(step, None)
    filled = state * (step.window.start + step.window.length) / capacity
    weights = min(WEIGHTS, step.work.flop / 2 * 4)
    assert moved == pytest.approx(weights + data + filled)


def test_a_state_is_read_as_far_as_it_is_filled():
    step = replace(point("decode"), window=StateWindow(axis=2, start=255, length=1))
    state = TensorSpec(name="cache.0.k", shape=(1, 3, 512, 64), dtype="float32", role="state")
    main = step.programs["main"]
    program = replace(main, inputs=(*main.inputs, state), outputs=(*main.outputs, state))
    more = replace(step, programs={"main": program})
    assert traffic_bytes(more, None) - traffic_bytes(step, None) == pytest.approx(state.bytes * 256 / 512, rel=1e-3)


def test_weights_that_no_operation_can_have_used_are_not_counted():
    step = point("decode")
    sparse = replace(step, work=replace(step.work, flop=0.25 * 2 * WEIGHTS / 4))
    assert traffic_bytes(sparse, None) == pytest.approx(0.25 * WEIGHTS, rel=5e-3)
    dense = replace(step, work=replace(step.work, flop=None))
    assert traffic_bytes(dense, None) == pytest.approx(WEIGHTS, rel=5e-3)


def test_generate_reads_its_weights_for_every_token():
    assert traffic_bytes(point("generate"), None) == pytest.approx(WEIGHTS * TOKENS, rel=0.01)


def test_without_a_count_of_weights_there_are_no_bytes():
    step = point("decode")
    assert traffic_bytes(replace(step, work=replace(step.work, weight_bytes=None)), None) is None


def test_of_a_table_the_rows_that_are_looked_up_are_read():
    selection = Selection(device_kind="cpu", size="small", workloads=("dlrm",))
    (chosen,) = points_of(plugins.suite("recsys"), selection)
    rows = 26 * 10_000 * 64  # tables, rows, numbers of a row; the batch is 64
    assert chosen.work.weight_bytes - chosen.work.read_bytes == 4 * (rows - 26 * 64 * 64)
    assert traffic_bytes(chosen, None) < chosen.work.read_bytes + 1e6


def test_a_call_that_looks_up_every_row_reads_the_whole_table():
    selection = Selection(device_kind="cpu", size="tiny", workloads=("dlrm",), axes={"batch": ("1000",)})
    (chosen,) = points_of(plugins.suite("recsys"), selection)
    assert chosen.work.read_bytes == chosen.work.weight_bytes
