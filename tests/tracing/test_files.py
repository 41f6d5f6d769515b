"""Traces for other tools, read back by the tools' own definitions where there are any."""

import json
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from steelyard.core.trace import Recording
from steelyard.tracing import perfetto, speedscope
from steelyard.tracing.edges import edges
from tests.tracing.recorded import recording

FOUND = recording(
    [("run", 100, 190), ("Mat<Mul>", 120, 150), ("Add", 150, 180), ("Conv", 130, 160, 1)], calls=[(100, 200)]
)


def slices(path) -> dict[str, list[tuple[str, str, int, int]]]:
    """By track: name, category, begin and end of every slice, as perfetto's own classes read the file."""
    trace = Trace()
    trace.ParseFromString(path.read_bytes())
    tracks, names, categories = {}, {}, {}
    open_, found = defaultdict(list), defaultdict(list)
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            tracks[descriptor.uuid] = f"{tracks.get(descriptor.parent_uuid, '')}/{descriptor.name}"
        sequence = packet.trusted_packet_sequence_id
        for entry in packet.interned_data.event_names:
            names[sequence, entry.iid] = entry.name
        for entry in packet.interned_data.event_categories:
            categories[sequence, entry.iid] = entry.name
        if packet.HasField("track_event"):
            event = packet.track_event
            if event.type == TrackEvent.TYPE_SLICE_BEGIN:
                (category,) = event.category_iids
                named = names[sequence, event.name_iid], categories[sequence, category]
                open_[event.track_uuid].append((*named, packet.timestamp))
            else:
                assert event.type == TrackEvent.TYPE_SLICE_END
                name, category, begin = open_[event.track_uuid].pop()
                found[tracks[event.track_uuid]].append((name, category, begin, packet.timestamp))
    assert not any(open_.values())
    return found


def test_perfetto_reads_every_slice_on_the_track_of_its_thread(tmp_path):
    path = perfetto.write(tmp_path / "made.perfetto-trace", [("xla", FOUND), ("eager", FOUND)])
    found = slices(path)
    for name in ("xla", "eager"):
        assert sorted(found[f"/{name}/thread 0"]) == [
            ("Add", "elementwise", 50, 80),
            ("Mat<Mul>", "unknown", 20, 50),
            ("run", "unknown", 0, 90),
        ]
        assert found[f"/{name}/thread 1"] == [("Conv", "convolution", 30, 60)]


def test_large_numbers_and_names_survive(tmp_path):
    found = recording([("é" * 200, 0, 5_000_000_000_000)], calls=[(0, 6e12)])
    path = perfetto.write(tmp_path / "made", [("a", found)])
    assert slices(path)["/a/thread 0"] == [("é" * 200, "unknown", 0, 5_000_000_000_000)]


def test_speedscope_has_a_profile_for_each_thread(tmp_path):
    path = speedscope.write(tmp_path / "made.json", [("xla", FOUND)])
    document = json.loads(path.read_text())
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    first, second = document["profiles"]
    assert (first["name"], second["name"]) == ("xla, thread 0", "xla, thread 1")
    told = [(event["type"], frames[event["frame"]], event["at"]) for event in first["events"]]
    assert told == [
        ("O", "run", 0),
        ("O", "Mat<Mul>", 20),
        ("C", "Mat<Mul>", 50),
        ("O", "Add", 50),
        ("C", "Add", 80),
        ("C", "run", 90),
    ]
    assert (first["startValue"], first["endValue"]) == (0, 90)


spans = st.tuples(st.sampled_from("abc"), st.integers(0, 100), st.integers(0, 40), st.integers(0, 2)).map(
    lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2], drawn[3])
)


@given(st.lists(spans, max_size=30))
@settings(deadline=None)
def test_edges_are_nested_and_in_the_order_of_time(events) -> None:
    found: Recording = recording(events)
    open_: dict[int, list[int]] = defaultdict(list)
    last: dict[int, float] = {}
    count = 0
    for edge in edges(found):
        assert edge.at_ns >= last.get(edge.thread, 0)
        last[edge.thread] = edge.at_ns
        if edge.opens:
            open_[edge.thread].append(edge.kernel)
            count += 1
        else:
            assert open_[edge.thread].pop() == edge.kernel
    assert count == len(events)
    assert not any(open_.values())
