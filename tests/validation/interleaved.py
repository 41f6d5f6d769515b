"""Our launches beside a vendor tool's: each round launches every side of a match once, in random balanced order.

A *match* is one of our backends at one point and the tool that it is held against. Each of the two sides is a fresh
process for this one point, with the environment and the CPUs of a worker and the same compile cache; ours is the
engine's own worker. Both are alive together and their windows run in turns, as in any run; where the tool cannot stand
between two parts of its window they run one after the other. Round 0 is cold: it fills the caches, and where a side
fails in it the match is over. What was measured is appended to a file, one line a launch, so that a campaign goes on
where it was interrupted.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from steelyard import __version__, wire
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import StoreError
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import LaunchRecord, Result
from steelyard.engine.launch import LaunchInterrupted, LaunchOutcome, run_launch
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.engine.rounds import Orders
from steelyard.engine.turns import Together, turn_s
from steelyard.guard.scratch import scratch
from steelyard.hardware.fingerprint import packages
from steelyard.store import scrub
from tests.validation.child import TOLD
from tests.validation.internal import DETAIL
from tests.validation.tools import OURS, Told, Tool

_FEWEST, _MOST = 10, 5_000
_CAP = 10.0
_TAIL = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A tool and one of our backends at one lowered point."""

    tool: Tool
    lowered: LoweredPoint

    @property
    def title(self) -> str:
        """Names the match in the stored data."""
        return f"{self.tool.key}: {self.lowered.point.title}"

    @property
    def sides(self) -> tuple[str, str]:
        """Ours first."""
        return (OURS, self.tool.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLaunch:
    """One launch of one side of a match; `told` is None where it failed, with the reason."""

    match: str
    side: str
    told: Told | None
    reason: str = ""
    record: LaunchRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorTerms:
    """What all launches of a campaign share; a campaign of other terms is another one."""

    device: Device
    budget: Budget
    window_s: float
    seed: int
    turns: bool = True
    tool_version: str = __version__
    versions: Mapping[str, str] = field(default_factory=packages)


@dataclass(slots=True)
class VendorCampaign:
    """The matches of one set of terms, and the file that holds what was measured of them."""

    terms: VendorTerms
    matches: tuple[Match, ...]
    folder: Path
    launches: list[SideLaunch] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """Named by the terms."""
        return self.folder / f"agreement-{stable_hash(self.terms, 12)}.jsonl"

    @property
    def terms_file(self) -> Path:
        """Says in words what the name of the other file is the hash of."""
        return self.file.with_suffix(".terms.json")

    def load(self) -> None:
        """Read what was measured earlier. Raises StoreError naming a damaged line; a last line cut short is dropped."""
        self.launches = []
        if not self.file.exists():
            return
        *lines, rest = self.file.read_bytes().split(b"\n")
        if rest:  # the next line must not go on where it ends
            os.truncate(self.file, self.file.stat().st_size - len(rest))
        for number, line in enumerate(lines, start=1):
            self.launches.append(wire.decode(line, SideLaunch, f"{self.file.name}, line {number}"))

    def rounds(self, match: Match) -> dict[int, dict[str, SideLaunch]]:
        """The whole warm rounds of a match: each of its sides once."""
        return whole_rounds(self.launches, match)

    def measure(self, open_: Callable[[Match], bool], rounds: int, say: Callable[[str], None]) -> bool:
        """Rounds of all matches in turn, each until it is no longer `open_` or has so many. False if interrupted."""
        before = os.sched_getaffinity(0)
        if spare := before - set(self.terms.budget.cpus):
            os.sched_setaffinity(0, spare)
        try:
            with scratch() as work:
                sides = {match.title: _Sides(self, match, work / str(n)) for n, match in enumerate(self.matches)}
                while todo := [match for match in self.matches if self._left(match, rounds) and open_(match)]:
                    fewest = min(len(self.rounds(match)) for match in todo)
                    say(f"round {fewest + 1} of at most {rounds}: {len(todo)} of {len(self.matches)} matches are open")
                    for match in todo:
                        if not sides[match.title].round():
                            self.matches = tuple(other for other in self.matches if other is not match)
                            say(f"{match.title}: {sides[match.title].reason}")
        except (LaunchInterrupted, KeyboardInterrupt):
            return False
        finally:
            os.sched_setaffinity(0, before)
        return True

    def keep(self, launch: SideLaunch) -> None:
        """Append a launch to the file. Raises StoreError."""
        self.launches.append(launch)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.terms_file.exists():
                self.terms_file.write_bytes(wire.encode(self.terms) + b"\n")
            with self.file.open("ab") as stream:
                stream.write(wire.encode(launch) + b"\n")
        except OSError as error:
            raise StoreError(f"{self.file}: cannot be written: {error.strerror or error}") from error

    def _left(self, match: Match, rounds: int) -> bool:
        return len(self.rounds(match)) < rounds


def whole_rounds(launches: Sequence[SideLaunch], match: Match) -> dict[int, dict[str, SideLaunch]]:
    """The warm rounds of a match in which both sides were launched."""
    found: dict[int, dict[str, SideLaunch]] = {}
    for launch in launches:
        if launch.match == match.title and launch.record.round > 0:
            found.setdefault(launch.record.round, {})[launch.side] = launch
    return {number: sides for number, sides in sorted(found.items()) if len(sides) == len(match.sides)}


class _Sides:
    """The sides of one match in this process: their cold launches, then one round after the other."""

    def __init__(self, campaign: VendorCampaign, match: Match, work: Path) -> None:
        self._campaign, self._match, self._work = campaign, match, work
        self._origin = time.monotonic()
        seed = int(stable_hash([campaign.terms.seed, match.title], 8), 16)
        self._orders = Orders([match.sides], seed)
        stored = [item.record.round for item in campaign.launches if item.match == match.title]
        self._number = max(stored, default=0)
        for _ in range(self._number):  # a resumed campaign goes on in the balanced order
            self._orders.of_round()
        self._warm = False
        self.reason = ""

    def round(self) -> bool:
        """The next round, the cold one before the first. False, with the reason, if a side cannot be measured."""
        if not self._warm:
            for position, side in enumerate(self._match.sides):
                cold = self._launch(side, 0, position)
                if cold.told is None:
                    self._campaign.keep(cold)
                    self.reason = f"{side}: {cold.reason}"
                    return False
            self._warm = True
        self._number += 1
        ((_, order),) = self._orders.of_round()
        if not self._in_turns:
            for position, side in enumerate(order):
                self._campaign.keep(self._launch(side, self._number, position))
            return True
        requests = [self._request(side, self._number, position) for position, side in enumerate(order)]
        try:
            Together(
                [replace(request, beside=1) for request in requests],
                self._orders.sweeps[0],
                points=[self._match.lowered.point.key],
                timeouts=DEFAULT_TIMEOUTS,
                origin_s=self._origin,
                begin=lambda request: None,
                on_event=lambda event: None,
                keep=lambda request, outcome: self._campaign.keep(self._kept(request, outcome)),
            ).run()
        finally:
            for request in requests:
                shutil.rmtree(request.scratch, ignore_errors=True)
        return True

    @property
    def _in_turns(self) -> bool:
        return self._campaign.terms.turns and self._match.tool.in_turns

    def _launch(self, side: str, number: int, position: int) -> SideLaunch:
        request = self._request(side, number, position)
        try:
            return self._kept(request, run_launch(request, origin_s=self._origin, timeouts=DEFAULT_TIMEOUTS))
        finally:
            shutil.rmtree(request.scratch, ignore_errors=True)

    def _request(self, side: str, number: int, position: int) -> LaunchRequest:
        terms, lowered, tool = self._campaign.terms, self._match.lowered, self._match.tool
        pace = Pace(
            seconds=terms.window_s,
            minimum=_FEWEST,
            maximum=_MOST,
            cap_s=terms.window_s * _CAP,
            turn_s=turn_s(terms.window_s) if self._in_turns and number > 0 else None,
        )
        request = LaunchRequest(
            launch=f"agreement/{self._match.title}/{number}/{side}",
            arm=side,
            round=number,
            position=position,
            backend=parse_backend(tool.our_runner if side == OURS else tool.backend),
            device=terms.device,
            budget=terms.budget,
            compile_cache=str(self._work / "compile"),
            scratch=str(self._work / f"{number}-{position}"),
            seed=int(stable_hash([terms.seed, self._match.title, number, position], 8), 16),
            steady=number > 0,
            cases=(CaseRequest(case_id=lowered.point.key, lowered=lowered, pace=pace),),
        )
        return request if side == OURS else replace(request, worker=(tool.module, *tool.arguments))

    def _kept(self, request: LaunchRequest, outcome: LaunchOutcome) -> SideLaunch:
        """What a launch of a side came to."""
        told, reason = self._ours(request, outcome) if request.arm == OURS else self._theirs(request, outcome)
        return SideLaunch(
            match=self._match.title, side=request.arm, told=told, reason=scrub(reason), record=outcome.record
        )

    def _ours(self, request: LaunchRequest, outcome: LaunchOutcome) -> tuple[Told | None, str]:
        (result,) = outcome.results
        if result.status != "ok":
            return None, result.reason
        return our_samples(result, self._match.tool) if request.steady else (Told(samples_s=()), "")

    def _theirs(self, request: LaunchRequest, outcome: LaunchOutcome) -> tuple[Told | None, str]:
        if outcome.results:  # it owes none, unless it failed
            return None, f"{outcome.results[0].reason}: {outcome.results[0].log_tail[-_TAIL:].strip()}"
        return wire.read(Path(request.scratch) / TOLD, Told), ""


def our_samples(result: Result, tool: Tool) -> tuple[Told | None, str]:
    """What our worker measured, at the tool's layer: every sample of its window, in order."""
    latency = result.measurement("latency_s")
    if latency is None:
        return None, "no window was timed"
    wall = tuple(round(value, 10) for value in latency.samples)
    if tool.layer != "runtime_internal":
        return Told(samples_s=wall, turns=latency.turns), ""
    # The newest are those of the window: nothing is run on its bindings afterwards.
    inner = result.proof.details[DETAIL][-len(wall) :] if result.proof else ()
    return Told(samples_s=tuple(inner), wall_s=sorted(wall)[len(wall) // 2], turns=latency.turns), ""
