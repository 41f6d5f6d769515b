"""What `bench run --largest QUANTITY` does once its options are read: attempts, each a stored run, to the answer."""

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from steelyard import __version__, plugins, wire
from steelyard.cli.exit_codes import INTERRUPTED
from steelyard.cli.output import print_json
from steelyard.cli.tables import print_report_table
from steelyard.core.errors import LoweringError, UsageError
from steelyard.core.largest import Attempt, Largest, LargestRow, next_value
from steelyard.core.reason import said
from steelyard.core.result import Result
from steelyard.core.run import Run
from steelyard.core.workload import Point
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.search import SearchQuestion, find_sweep, point_at, questions
from steelyard.hardware.fingerprint import packages
from steelyard.service.running import run_plan
from steelyard.service.screen import Screen
from steelyard.store import list_runs, open_run, prepare_root
from steelyard.tables.format import size
from steelyard.tables.largest import largest_report

FILE = "largest.json"
ATTEMPTS = 24
"""Attempts of one backend at one question, unless told otherwise: enough to double 12 times and halve as often."""

_FORMATS = ("csv", "latex", "markdown", "typst")


class Search:
    """One search: its questions, and what each backend attempted so far. The same search goes on where it stopped."""

    def __init__(self, request: Request, quantity: str, output: Path, *, weights: Path | None, most: int) -> None:
        self.suite = plugins.suite(request.suite)
        self.sweep = find_sweep(self.suite, quantity)
        if request.device.kind == "cpu" and request.budget.memory_cap_bytes is None:
            raise UsageError(
                f"--largest {quantity} on a CPU needs a limit, or it would drive the machine itself out of memory: "
                "give one with --memory-cap, e.g. --memory-cap 4GiB"
            )
        self.most = most
        self.questions = questions(self.suite, request.selection, self.sweep)
        self.request = dataclasses.replace(request, attempt=True, time_s=None, rounds=None)
        self.plan = make_plan(self.request, (self._point(self.questions[0], self.sweep.start),))
        self.backends = tuple(arm.backend.text for arm in self.plan.arms)
        self.folder = output / "largest" / re.sub(r"[^A-Za-z0-9]+", "-", f"{self.suite.name}-{self.sweep.name}")
        self._weights = weights
        self._stop_at_s = float("inf") if request.time_s is None else time.monotonic() + request.time_s
        self._stored: dict[tuple[str, str], Attempt] = {}

    def outline(self) -> Iterator[str]:
        """What will be searched, by whom, and within which bounds."""
        yield (
            f"searching the largest {self.sweep.name} ({self.sweep.meaning}) that completes on "
            f"{self.request.device.name}, memory cap {self.request.budget.memory_cap}: from {self.sweep.start}, at "
            f"most {self.most} attempts of each backend; stored in {self.folder}"
        )
        yield f"backends: {', '.join(self.backends)}"
        for entry in self.plan.left_out:
            yield f"left out: {entry.backend}: {entry.reason}"
        for question in self.questions:
            yield f"  {question.title}"

    def run(self) -> tuple[tuple[LargestRow, ...], bool]:
        """Every row, and whether all of them are as far as the bounds allow: not if it was interrupted."""
        prepare_root(self.folder)
        for entry in list_runs(self.folder):
            if not entry.problem:
                self._keep(open_run(entry.path))
        rows: list[LargestRow] = []
        for question in self.questions:
            answered, whole = self._answer(question)
            rows += answered
            if not whole:
                return tuple(rows), False
        return tuple(rows), True

    def _answer(self, question: SearchQuestion) -> tuple[list[LargestRow], bool]:
        """One row for each backend. Backends that need the same value next are launched in one run."""
        attempts: dict[str, list[Attempt]] = {backend: [] for backend in self.backends}
        ended = dict.fromkeys(self.backends, "")
        whole = True
        while whole and (due := self._due(attempts, ended)):
            value = min(due.values())
            asked = [backend for backend, wanted in due.items() if wanted == value]
            found = self._attempt(question, value, asked)
            whole = len(found) == len(asked)
            for backend, attempt in found.items():
                attempts[backend].append(attempt)
        rows = [
            LargestRow(
                workload=question.workload,
                point=question.title,
                backend=backend,
                attempts=tuple(attempts[backend]),
                ended=ended[backend] or ("" if whole else "interrupted"),
            )
            for backend in self.backends
        ]
        return rows, whole

    def _due(self, attempts: Mapping[str, Sequence[Attempt]], ended: dict[str, str]) -> dict[str, int]:
        """The value that each backend needs next; in `ended` why another gets none although its bracket is wide."""
        due = {}
        for backend, made in attempts.items():
            value = next_value(made, start=self.sweep.start, smallest=self.sweep.smallest)
            if value is None:
                continue
            if len(made) >= self.most:
                ended[backend] = f"the bound of {self.most} attempts is reached"
            elif time.monotonic() >= self._stop_at_s:
                ended[backend] = "the time given is used up"
            else:
                due[backend] = value
        return due

    def _attempt(self, question: SearchQuestion, value: int, backends: Sequence[str]) -> dict[str, Attempt]:
        """How each backend ended at a value, out of the store or by a launch; fewer than asked if interrupted."""
        try:
            point = self._point(question, value)
        except UsageError as error:
            return {b: Attempt(value=value, status="unsupported", stage="plan", reason=str(error)) for b in backends}
        missing = [backend for backend in backends if (point.key, backend) not in self._stored]
        if missing:
            typer.echo(f"{question.title}: {self.sweep.name}={value}: {', '.join(missing)}", err=True)
            try:
                with Screen() as screen:
                    path = run_plan(
                        self._plan(point, missing),
                        self.folder,
                        screen,
                        weights=self._weights,
                        started_s=time.monotonic(),
                    ).path
            except LoweringError as error:
                failed = Attempt(value=value, status="failed", stage="lower", reason=said(error))
                return dict.fromkeys(backends, failed)
            self._keep(open_run(path))
            for backend in missing:
                if (attempt := self._stored.get((point.key, backend))) is not None and attempt.completed:
                    typer.echo(f"  {backend}: completes{_peak(attempt)}", err=True)
        found = {b: self._stored[point.key, b] for b in backends if (point.key, b) in self._stored}
        return {backend: dataclasses.replace(attempt, value=value) for backend, attempt in found.items()}

    def _plan(self, point: Point, backends: Sequence[str]) -> Plan:
        arms = tuple(arm for arm in self.plan.arms if arm.backend.text in backends)
        formats = {backend: self.plan.formats[backend] for backend in backends}
        return dataclasses.replace(self.plan, points=(point,), arms=arms, baseline=arms[0], formats=formats)

    def _point(self, question: SearchQuestion, value: int) -> Point:
        return point_at(self.suite, self.request.selection, self.sweep, question, value)

    def _keep(self, run: Run) -> None:
        """The attempts of a stored run, if it was made with today's software under this budget."""
        manifest = run.manifest
        if (manifest.tool_version, manifest.environment.get("packages")) != (__version__, packages()):
            return
        if (manifest.device, manifest.budget) != (self.request.device, self.request.budget):
            return
        cases = {case.id: (case.point.key, case.backend.text) for case in manifest.cases}
        for result in run.results:
            self._stored[cases[result.case_id]] = _attempt_of(result, manifest.run_id)


def run_largest(
    request: Request,
    quantity: str,
    output: Path,
    *,
    weights: Path | None,
    most: int | None,
    dry_run: bool,
    report: bool,
    json: bool,
) -> int:
    """Search, keep and print the answer. Returns the exit code: 0, or 130 if it was interrupted."""
    search = Search(request, quantity, output, weights=weights, most=ATTEMPTS if most is None else most)
    for line in search.outline():
        typer.echo(line, err=not dry_run)
    if dry_run:
        return 0
    rows, whole = search.run()
    found = Largest(
        suite=search.suite.name,
        quantity=search.sweep.name,
        meaning=search.sweep.meaning,
        device=request.device.name,
        memory_cap=request.budget.memory_cap,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        rows=rows,
    )
    (search.folder / FILE).write_bytes(wire.encode(found) + b"\n")
    _show(found, search.folder, report=report, json=json)
    if not whole:
        typer.echo("interrupted: what was attempted is kept; the same command goes on", err=True)
    return 0 if whole else INTERRUPTED


def _attempt_of(result: Result, run_id: str) -> Attempt:
    peaks: dict[str, float] = {}
    for key, reading in result.memory.items():
        metric = key.partition("/")[0]
        if reading.value is not None and "peak" in metric:
            peaks[metric] = max(reading.value, peaks.get(metric, 0.0))
    return Attempt(
        value=0, status=result.status, stage=result.stage, reason=result.reason, run=run_id, peak_bytes=peaks
    )


def _peak(attempt: Attempt) -> str:
    peak = attempt.peak_bytes.get("host_peak_bytes")
    return "" if peak is None else f", host peak {size(peak)}"


def _show(found: Largest, folder: Path, *, report: bool, json: bool) -> None:
    data = largest_report(found)
    (table,) = data.tables
    if json:
        print_json("largest", {"largest": found})
    else:
        print_report_table(table)
    if report:
        from steelyard.render.output import ReportInputs
        from steelyard.service.report_files import write_all

        chosen = [plugins.reports()[name] for name in _FORMATS]
        written = write_all(ReportInputs(data=data), chosen, folder / "report")
        for line in (*written.lines, *(f"not written: {line}" for line in written.failed)):
            typer.echo(line, err=True)
