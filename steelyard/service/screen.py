"""What a run says while it runs: a bar on a terminal, plain lines elsewhere, JSON lines when asked. All on stderr
but the JSON, which is data."""

import json
import sys
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

from steelyard.core.case import Arm
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.visible import visible
from steelyard.engine.protocol import Event


class Screen:
    """Tells the user where a run stands: a bar on a terminal and in a notebook, else lines; nothing if `silent`. Knows
    nothing of how it is measured or stored."""

    def __init__(self, *, as_json: bool = False, silent: bool = False) -> None:
        self._json, self._silent = as_json, silent
        self._ended = 0
        self._before = 0
        self._counts: Counter[str] = Counter()
        self._told: set[tuple[str, str, str]] = set()
        self._bar: Any = None
        self._task: Any = None
        self._round = ""
        self._number = self._last = 0
        self._ends_s: float | None = None

    def __enter__(self) -> Self:
        if not (self._json or self._silent) and (sys.stderr.isatty() or "ipykernel" in sys.modules):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                refresh_per_second=1,  # it is drawn while calls are timed, perhaps on their CPU
            )
            self._task = self._bar.add_task("lowering", total=None, left="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def line(self, text: str) -> None:
        """One line for the user. What a runtime says is shown and never obeyed."""
        text = visible(text, lines=True)
        if self._silent:
            return
        if self._json:
            self._data("note", text=text)
        elif self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def goes_on(self, before: int) -> None:
        """The run has rounds already; `before` is the number of the last."""
        self._before = before

    def round_begins(self, number: int, last: int, remaining_s: float | None, launches: int) -> None:
        """A round of so many launches begins; `last` is the number of the last that may come, and the run has about
        `remaining_s` to go, where that is known."""
        self._round = "cold round" if number == 0 else f"round {number}"
        self._number, self._last = number, last
        self._ends_s = None if remaining_s is None else time.monotonic() + remaining_s
        if self._json:
            self._data("round", round=number, planned=last, remaining_s=remaining_s)
        elif self._bar is None:
            self.line(f"{self._round} ({self._left()})")
        else:
            left = last - max(number, self._before) + 1
            total = self._ended + left * launches
            self._bar.update(self._task, total=total, left=self._left())

    def launch_begins(self, arm: Arm, number: int, position: int) -> None:
        """A launch begins."""
        if self._json:
            self._data("launch", arm=arm.label, round=number, position=position)
        elif self._bar is not None:
            self._bar.update(self._task, description=f"{self._round}: {arm.label}")

    def event(self, event: Event) -> None:
        """The worker entered a stage."""
        if self._json and event.kind == "stage":
            self._data("stage", case=event.case_id, stage=event.stage)

    def launch(self, record: LaunchRecord) -> None:
        """A launch ended."""
        self._ended += 1
        seconds = record.ended_s - record.started_s
        if self._json:
            self._data("launch_end", arm=record.arm, round=record.round, seconds=seconds)
        elif self._bar is not None:
            self._bar.advance(self._task)
            self._bar.update(self._task, left=self._left())
        else:
            ran_s = seconds if record.ran_s is None else record.ran_s
            self.line(f"  {record.arm}: {ran_s:.0f} s; {self._left()}")

    def result(self, result: Result, title: str) -> None:
        """A case ended. A failure is said once per arm, case and reason; it is stored each time."""
        self._counts[result.status] += 1
        if self._json:
            self._data("result", case=result.case_id, arm=result.arm, round=result.round, status=result.status)
        elif result.status != "ok" and (result.arm, result.case_id, result.reason) not in self._told:
            self._told.add((result.arm, result.case_id, result.reason))
            self.line(f"  {result.arm}, {title}: {result.status} at {result.stage}: {result.reason}")
        proved = () if result.proof is None else result.proof.remarks
        for remark in () if self._json else (*result.details.remarks, *proved):
            if (result.arm, result.case_id, "remark") not in self._told:
                self._told.add((result.arm, result.case_id, "remark"))
                self.line(f"  {result.arm}, {title}: {remark}")

    def _left(self) -> str:
        if self._ends_s is not None:
            left_s = max(0.0, self._ends_s - time.monotonic())
            return f"about {left_s:.0f} s left" if left_s < 90 else f"about {left_s / 60:.0f} min left"
        return f"of at most {self._last}" if self._number else f"then up to {self._last - self._before} more"

    def _data(self, kind: str, **fields: Any) -> None:
        print(json.dumps({"event": kind, **fields}), flush=True)
