"""The launches of a run as a trace for https://ui.perfetto.dev or chrome://tracing (Trace Event Format, JSON)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.render.output import ReportInputs, json_text, save
from steelyard.tables.records import Records
from steelyard.tables.timeline import Span, Track

MICROSECONDS = 1e6
ROUNDS = 1
"""The number of the track of rounds; the arms follow."""
NOTE = (
    "A process is a segment on its own clock, which begins at 0. Start and end of a launch were measured; what happens "
    "within it is laid end to end, since durations are stored and not starts."
)


class Perfetto:
    """`perfetto.json`: a process for each segment, with a track for its rounds and one for each arm.

    A launch holds import and cases, a case its phases. Contaminated rounds are named so and marked by an instant.
    """

    name = "perfetto"
    draws = False
    kind = "export"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `perfetto.json`."""
        run = inputs.of_one_run(self.name)
        events = [event for number, track in enumerate(run.tracks, start=1) for event in _track(track, number)]
        document = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": _about(run)}
        return (save(directory / "perfetto.json", json_text(document)),)


def _about(run: Records) -> dict[str, str]:
    return {
        "run": run.run_id,
        "created_utc": run.created_utc,
        "device": run.device.name,
        "tool": f"steelyard {run.tool_version}",
        "note": NOTE,
    }


def _track(track: Track, process: int) -> Iterator[dict[str, Any]]:
    title = f"{track.name}, begun {track.started_utc}" if track.started_utc else track.name
    yield _named("process_name", process, ROUNDS, title)
    yield _named("thread_name", process, ROUNDS, "rounds")
    for span in track.rounds:
        yield from _slices(span, process, ROUNDS, "round")
        if told := track.contaminated.get(int(span.facts["round"] or 0)):
            yield {
                "name": f"contaminated: {told}",
                "cat": "contaminated",
                "ph": "i",
                "s": "p",
                "ts": span.start_s * MICROSECONDS,
                "pid": process,
                "tid": ROUNDS,
            }
    for thread, (label, launches) in enumerate(track.arms.items(), start=ROUNDS + 1):
        yield _named("thread_name", process, thread, label)
        yield {**_event("thread_sort_index", process, thread), "args": {"sort_index": thread}}
        for span in launches:
            yield from _slices(span, process, thread, "launch")


def _slices(span: Span, process: int, thread: int, category: str) -> Iterator[dict[str, Any]]:
    yield {
        "name": span.name,
        "cat": category,
        "ph": "X",
        "ts": span.start_s * MICROSECONDS,
        "dur": (span.end_s - span.start_s) * MICROSECONDS,
        "pid": process,
        "tid": thread,
        "args": {key: value for key, value in span.facts.items() if value not in (None, "")},
    }
    for part in span.parts:
        yield from _slices(part, process, thread, "phase" if not part.parts else "case")


def _named(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {**_event(kind, process, thread), "args": {"name": name}}


def _event(kind: str, process: int, thread: int) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "ts": 0, "pid": process, "tid": thread}


REPORT = Perfetto()
