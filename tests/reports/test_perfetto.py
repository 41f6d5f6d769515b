"""The export perfetto: its events have the form of the Trace Event Format, and nest as its viewers want them."""

import dataclasses
from typing import Literal

import msgspec

from steelyard.tables.facts import gather
from steelyard.tables.records import records
from tests.reports.test_exports import export, made


class Slice(msgspec.Struct, forbid_unknown_fields=True, tag_field="ph", tag="X"):
    """A complete event; times in microseconds."""

    name: str
    cat: str
    ts: float
    dur: float
    pid: int
    tid: int
    args: dict[str, str | float]


class Instant(msgspec.Struct, forbid_unknown_fields=True, tag_field="ph", tag="i"):
    """An instant event; its scope is global, process or thread."""

    name: str
    cat: str
    s: Literal["g", "p", "t"]
    ts: float
    pid: int
    tid: int


class Metadata(msgspec.Struct, forbid_unknown_fields=True, tag_field="ph", tag="M"):
    """A metadata event."""

    name: Literal["process_name", "process_labels", "process_sort_index", "thread_name", "thread_sort_index"]
    ts: float
    pid: int
    tid: int
    args: dict[str, str | int]


class Trace(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON object format."""

    traceEvents: list[Slice | Instant | Metadata]
    displayTimeUnit: Literal["ms", "ns"]
    otherData: dict[str, str]


def test_a_resumed_segment_with_a_cold_round_of_its_own_is_no_part_of_the_first():
    run = made(backends=("eager",), rounds=4, segments=((0, 1, 2), (3, 4)))
    again = [dataclasses.replace(item, launch=f"{item.launch}/again") for item in run.launches if item.round == 0]
    first, later = ([item for item in run.launches if (item.round < 3) == early] for early in (True, False))
    marked = dataclasses.replace(run.segments[1], rounds=(0, 3, 4), disturbed={4: "a background load"})
    resumed = dataclasses.replace(run, launches=(*first, *again, *later), segments=(run.segments[0], marked))
    begun, gone_on = records(gather(resumed)).tracks
    assert [track.name for track in (begun, gone_on)] == ["segment 0", "segment 1"]
    assert [span.facts["whole"] for span in gone_on.rounds] == ["True"] * 3
    assert (begun.contaminated, gone_on.contaminated) == ({}, {4: "a background load"})
    unfinished = dataclasses.replace(resumed, segments=(marked,))
    assert [track.name for track in records(gather(unfinished)).tracks] == [
        "a segment without a whole round", "segment 1",
    ]  # fmt: skip


def test_perfetto_nests_launches_cases_and_phases(tmp_path):
    run = made(backends=("eager", "xla"), segments=((0, 1, 2, 3, 4), (5, 6, 7, 8)))
    marked = dataclasses.replace(run.segments[0], disturbed={2: "a background load"})
    run = dataclasses.replace(run, segments=(marked, run.segments[1]))
    start = min(launch.started_s for launch in run.launches if launch.round == 5)
    launches = [  # a segment's clock begins anew
        dataclasses.replace(item, started_s=item.started_s - start, ended_s=item.ended_s - start)
        if item.round >= 5
        else item
        for item in run.launches
    ]
    told = records(gather(dataclasses.replace(run, launches=tuple(launches))))
    (text,) = export("perfetto", tmp_path, told)[0].values()
    events = msgspec.json.decode(text, type=Trace).traceEvents
    names = {(e.pid, e.tid): e.args["name"] for e in events if isinstance(e, Metadata) and e.name == "thread_name"}
    assert [names[1, thread] for thread in (1, 2, 3, 4)] == ["rounds", "eager", "xla", "eager (control)"]
    assert {event.pid for event in events} == {1, 2}
    slices = [event for event in events if isinstance(event, Slice)]
    assert all(event.dur >= 0 for event in slices)
    assert len([event for event in slices if event.cat == "launch"]) == len(run.launches)
    (mark,) = [event for event in events if isinstance(event, Instant)]
    assert mark.name == "contaminated: a background load"
    assert "round 2 (contaminated)" in {event.name for event in slices}
    for key in names:  # what begins within a slice also ends within it, or the viewer drops it
        stack: list[float] = []
        track = [event for event in slices if (event.pid, event.tid) == key]
        for event in sorted(track, key=lambda event: (event.ts, -event.dur)):
            while stack and stack[-1] <= event.ts + 1e-6:
                stack.pop()
            assert not stack or event.ts + event.dur <= stack[-1] + 1e-3, event
            stack.append(event.ts + event.dur)
