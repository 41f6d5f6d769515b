"""The file of ONNX Runtime's profiler: one that version 1.32 wrote, and what can be wrong with it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from steelyard.adapters import onnxruntime_profile
from steelyard.adapters.onnxruntime_profile import parse
from steelyard.core.errors import SteelyardError

REAL = Path(__file__).with_name("onnxruntime_1_32_profile.json").read_bytes()
"""Three calls of an addition, a branch of a product and an exponential, and a matrix product."""

NODES = {"Add_0": "Add", "choose": "If", "double": "Mul", "exp": "Exp", "product": "MatMul"}
EXECUTOR, CALL = "SequentialExecutor::Execute", "model_run"


def changed(change):
    """The real file after a change of its list of events."""
    events = json.loads(REAL)
    change(events)
    return json.dumps(events).encode()


def event(events, name, call):
    """The event of a name in a call; of the executors the one of the whole graph."""
    return [each for each in events if each["name"] == name][call]


def full(dropped):
    return {
        "cat": "Session", "pid": 1, "tid": 1, "dur": 0, "ts": 10**6, "ph": "X", "name": "profile_truncated",
        "args": {"dropped_event_count": dropped, "max_num_events": "26"},
    }  # fmt: skip


def test_a_real_file():
    found = parse(REAL)
    assert {kernel.name: kernel.kind for kernel in found.kernels if not kernel.wrapper} == NODES
    assert {kernel.name for kernel in found.kernels if kernel.wrapper} == {EXECUTOR, CALL}
    assert found.calls == ((21941e3, 22147e3), (22404e3, 22483e3), (22501e3, 22554e3))
    per_call = {**dict.fromkeys(NODES, 1), EXECUTOR: 2, CALL: 1}
    assert Counter(found.kernels[index].name for index in found.kernel) == {name: 3 * n for name, n in per_call.items()}
    assert (found.resolution_ns, found.dropped, found.averaged, found.remarks) == (1000, 0, False, ())
    assert set(found.thread) == {0}


def test_what_surrounds_others_stands_before_them():
    found = parse(REAL, 2)
    order = [found.kernels[index].name for index in found.kernel]
    assert order == [CALL, EXECUTOR, "Add_0", "choose", EXECUTOR, "double", "exp", "product"]
    assert list(found.start_ns) == [22501e3, 22503e3, 22504e3, 22512e3, 22514e3, 22514e3, 22525e3, 22542e3]
    assert list(found.duration_ns) == [53e3, 50e3, 6e3, 28e3, 18e3, 5e3, 5e3, 5e3]


def test_what_surrounds_others_stands_before_them_at_equal_times():
    def change(events):
        last = event(events, CALL, 2)["ts"]
        for each in events:
            if each["ts"] >= last:
                each.update(ts=30_000, dur=9)

    found = parse(changed(change), 2)
    assert [found.kernels[index].wrapper for index in found.kernel] == [True] * 3 + [False] * 5
    assert found.kernels[found.kernel[0]].name == CALL


@pytest.mark.parametrize(("skipped", "calls", "events"), [(0, 3, 24), (1, 2, 16), (3, 0, 0)])
def test_earlier_calls_are_left_out(skipped, calls, events):
    found = parse(REAL, skipped)
    assert (len(found.calls), len(found.kernel), len(found.thread)) == (calls, events, events)


def test_more_calls_are_left_out_than_there_are():
    with pytest.raises(SteelyardError, match="it holds 3 calls, 4 were made before"):
        parse(REAL, 4)


@pytest.mark.parametrize("bytes_", [0, 1, 500, len(REAL) - 3])
def test_a_file_that_ends_early(bytes_):
    with pytest.raises(SteelyardError, match=r"not a whole profile of ONNX Runtime: .*truncated"):
        parse(REAL[:bytes_])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[]", "no event 'session_initialization'"),
        (b'{"traceEvents": []}', "Expected `array`"),
        (b'[{"name": "f", "ph": "B", "ts": 1.5}]', "Expected `int`, got `float`"),
        (b'[{"name": "f", "ph": "B", "ts": 1}]', "missing required field `cat`"),
        (b"PK\x03\x04", "malformed"),
        (b'[{"cat": "\xff\xfe"}]', "utf-8"),
    ],
)
def test_another_file(data, says):
    with pytest.raises(SteelyardError, match=f"not a whole profile of ONNX Runtime: .*{says}"):
        parse(data)


@pytest.mark.parametrize("field", ["cat", "name", "tid", "ts", "dur", "args"])
def test_a_missing_field_is_named(field):
    with pytest.raises(SteelyardError, match=f"`{field}` - at `..."):
        parse(changed(lambda events: event(events, "exp_kernel_time", 1).pop(field)))


def test_a_node_without_an_operator_is_named():
    with pytest.raises(SteelyardError, match="event 12, 'exp_kernel_time', has no op_name"):
        parse(changed(lambda events: event(events, "exp_kernel_time", 1)["args"].pop("op_name")))


@pytest.mark.parametrize("field", ["ts", "dur"])
def test_time_does_not_run_backwards(field):
    with pytest.raises(SteelyardError, match=f">= 0 - at `.*{field}`"):
        parse(changed(lambda events: event(events, "exp_kernel_time", 1).update({field: -5})))


@pytest.mark.parametrize("skipped", [0, 1])
@pytest.mark.parametrize("at", [100, 22_300])  # before all calls; between the first and the second
def test_a_clock_that_was_set_between_a_call_and_its_nodes(at, skipped):
    def change(events):
        event(events, "product_kernel_time", 1)["ts"] = at

    with pytest.raises(SteelyardError, match=r"'product_kernel_time', lies in no call: .* the clock was set"):
        parse(changed(change), skipped)


def test_a_clock_that_was_set_between_calls():
    def change(events):
        call = event(events, CALL, 1)
        call["ts"] = event(events, CALL, 0)["ts"] + 100

    with pytest.raises(SteelyardError, match="a call begins at 22041 us, before the one from 21941 to 22147 us has"):
        parse(changed(change))


def test_a_call_whose_event_is_missing():
    with pytest.raises(SteelyardError, match="lies in no call: events are missing"):
        parse(changed(lambda events: events.remove(event(events, CALL, 1))))


def test_events_that_overlap():
    def change(events):
        event(events, "Add_0_kernel_time", 1)["dur"] = 20  # into the branch, which begins 18 us later

    with pytest.raises(SteelyardError, match="from 22431 to 22463 us begins in another, which ends at 22433 us"):
        parse(changed(change))


def test_what_is_rounded_down_may_end_a_microsecond_late():
    def change(events):
        last = event(events, "product_kernel_time", 2)
        last["dur"] = event(events, EXECUTOR, 5)["ts"] + event(events, EXECUTOR, 5)["dur"] + 1 - last["ts"]

    assert len(parse(changed(change)).calls) == 3


def test_nodes_of_one_name_are_told_apart():
    def change(events):
        for each in events:
            if each["name"] == "product_kernel_time":
                each["name"] = "double_kernel_time"

    names = [kernel.name for kernel in parse(changed(change)).kernels]
    assert len(set(names)) == len(names) == 7
    assert {"double", "double (node 2)"} <= set(names)


def test_events_of_a_device_are_left_out_and_told():
    def change(events):
        node = event(events, "product_kernel_time", 1)
        events.append({**node, "cat": "Kernel", "name": "gemm"})

    found = parse(changed(change))
    assert len(found.kernel) == 24
    assert found.remarks == ("events of the category Kernel are left out",)


def test_a_full_profiler_is_told():
    """What it had no room for are the last events; those of a call that it did not see the end of are left out."""

    def change(events):
        events.remove(event(events, CALL, 2))
        events.append(full("40002"))

    found = parse(changed(change), 1)
    assert found.dropped == 40002
    assert len(found.calls) == 1
    assert len(found.kernel) == 8
    (said,) = found.remarks
    assert said == "the profiler was full and lost 40002 events: calls after the first 1 are left out"


def test_a_profiler_that_was_full_before_the_first_call():
    with pytest.raises(SteelyardError, match="it holds 3 calls, 3 were made before"):
        parse(changed(lambda events: events.append(full("9"))), 3)


def test_a_full_profiler_that_does_not_say_how_full():
    with pytest.raises(SteelyardError, match="does not tell how many events were dropped: 'many'"):
        parse(changed(lambda events: events.append(full("many"))))


def test_an_older_profiler_with_no_room_left_is_not_taken_for_a_whole_one(monkeypatch):
    monkeypatch.setattr(onnxruntime_profile, "_CAPACITY", 26)
    found = parse(REAL)
    assert found.dropped is None
    assert found.remarks == ("the profiler was full and may have lost events: calls after the first 3 are left out",)


def test_a_hundred_thousand_events_take_a_tenth_of_what_a_million_may(tmp_path):
    """A million may take 10 s and 1.5 GB. In a process of its own, whose memory is the parser's alone."""
    lines = REAL.strip()[1:-1].strip().split(b",\n")
    head, call = lines[:2], [line.partition(b'"ts" :') for line in lines[2:10]]
    later = lambda rest, turn: str(int(rest.partition(b",")[0]) + 1000 * turn).encode()  # noqa: E731
    path = tmp_path / "profile.json"
    with path.open("wb") as file:
        file.write(b"[\n" + b",\n".join(head))
        for turn in range(12_500):
            for before, key, rest in call:
                file.write(b",\n" + before + key + later(rest, turn) + b"," + rest.partition(b",")[2])
        file.write(b"\n]\n")
    code = """
import resource, sys, time
from steelyard.adapters.onnxruntime_profile import parse
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.process_time()
found = parse(open(sys.argv[1], "rb").read())
print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held, len(found.kernel))
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    seconds, kilobytes, events = done.stdout.split()
    assert events == "100000"
    assert float(seconds) < 1
    assert float(kilobytes) < 150_000
