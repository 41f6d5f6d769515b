"""How an arm fared at a point: the worst of what became of its launches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.analysis.sides import approximation
from steelyard.core.case import Arm
from steelyard.core.result import Result, Status
from steelyard.core.run import Manifest
from steelyard.core.workload import Point
from steelyard.tables.format import counted

_WORST_FIRST: tuple[Status, ...] = (
    "incorrect",
    "fallback",
    "crashed",
    "out_of_memory",
    "timed_out",
    "failed",
    "unsupported",
    "skipped",
)
_WITHOUT_SPEED = frozenset({"incorrect", "fallback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an arm fared at a point over all launches: the worst status, and how many launches ended ok.

    `speed` says whether its times may be shown: a wrong answer, or one computed elsewhere, has no speed. `approximate`
    says in what those that ended ok are no equal work; empty where they are.
    """

    status: Status
    ok: int
    launches: int
    stage: str = ""
    reason: str = ""
    log_tail: str = ""
    approximate: str = ""

    @property
    def speed(self) -> bool:
        """Whether a time may be shown."""
        return self.ok > 0 and self.status not in _WITHOUT_SPEED

    @property
    def last_words(self) -> str:
        """The last line of the log, where the reason does not say it."""
        line = (self.log_tail.strip().splitlines() or [""])[-1].strip()
        return "" if (line.partition(": ")[2] or line) in self.reason else line

    @property
    def remark(self) -> str:
        """The footnote of an outcome that is not plain ok; empty where it is."""
        if self.status == "ok":
            return self.approximate
        words = self.status.replace("_", " ")
        where = f" at {self.stage}" if self.stage and self.status not in ("unsupported", "skipped") else ""
        share = f" in {self.launches - self.ok} of {counted(self.launches, 'launch', 'launches')}" if self.ok else ""
        failed = f"{words}{where}{share}: {self.reason or 'no reason was recorded'}"
        return "; ".join(filter(None, (failed, self.approximate)))


def outcome_of(results: Sequence[Result]) -> Outcome:
    """How an arm fared in these launches of one point, of which there is at least one."""
    ok = sum(result.status == "ok" for result in results)
    approximate = approximation(results)
    if ok == len(results):
        return Outcome(status="ok", ok=ok, launches=ok, approximate=approximate)
    bad = [result for result in results if result.status != "ok"]
    worst = min(bad, key=lambda result: _WORST_FIRST.index(result.status))
    return Outcome(
        status=worst.status,
        ok=ok,
        launches=len(results),
        stage=worst.stage.replace("_", " "),
        reason=worst.reason,
        log_tail=worst.log_tail,
        approximate=approximate,
    )


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of several runs as one: the worst, with the launches of all, and of those how many ended ok."""
    bad = [outcome for outcome in outcomes if outcome.status != "ok"]
    worst = min(bad, key=lambda outcome: _WORST_FIRST.index(outcome.status), default=outcomes[0])
    return replace(
        worst,
        ok=sum(outcome.ok for outcome in outcomes),
        launches=sum(outcome.launches for outcome in outcomes),
        approximate=next(filter(None, (outcome.approximate for outcome in outcomes)), ""),
    )


def never_launched(manifest: Manifest, arm: Arm, point: Point) -> Outcome:
    """Of a case without a result: why it was left out, where that is known."""
    reasons = [
        entry.reason
        for entry in manifest.left_out
        if entry.backend in (arm.label, arm.backend.text) and entry.point in ("", point.key, point.title)
    ]
    return Outcome(status="skipped", ok=0, launches=0, reason="; ".join(reasons) or "it was never launched")
