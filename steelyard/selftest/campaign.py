"""A campaign of A/A comparisons: which runs it takes, which of them are stored already, and measuring the rest."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from steelyard import plugins
from steelyard.core.aa_counts import AaCounts, Condition
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.run import Run
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request
from steelyard.hardware import kept_aa_counts as kept
from steelyard.lowering.points import points_of
from steelyard.measure.driver import metrics_of
from steelyard.selftest.aa import summarise
from steelyard.selftest.background_load import background_load
from steelyard.service.running import new_run, resume_run
from steelyard.service.screen import Screen
from steelyard.service.stored_runs import runs_of, warm_rounds
from steelyard.store import open_run

ROUNDS = 10
"""Warm rounds of every run at most: at 8 a family of many comparisons cannot give one verdict alone, right or wrong."""
AA_ARMS = 2
WINDOW_S = 0.5
"""Eight turns of 62 ms. Of 0.15 s they would be 19 ms, and the minimum detectable effect twice as large."""
COMMON = ("onnxruntime", "openvino")
"""Backends that start fast enough to carry the bulk of a campaign."""
RARE_SHARE = 20
"""Comparisons that each other backend gets, where the campaign is large enough to have them at all."""

# Seconds a launch takes whatever its points, seconds per point besides its window, and how many warm launches a cold
# one is worth: orders of magnitude from a 2-core machine at size tiny. For the estimate only.
_COST = {
    "onnxruntime": (0.6, 0.05, 1),
    "openvino": (0.7, 0.1, 1),
    "xla": (1.2, 0.15, 2),
    "eager": (4.0, 0.35, 1),
    "inductor": (3.0, 1.7, 3),
}
_OTHER = (4.0, 1.0, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One run of a campaign: a backend against itself. `seed` tells the legs of a backend apart."""

    backend: str
    batches: tuple[int, ...]
    seed: int
    comparisons: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTerms:
    """What all legs of a campaign share. `backends` are in order of preference; `size` empty for the suite's own."""

    suite: str
    size: str
    backends: tuple[str, ...]
    device: Device
    budget: Budget
    window_s: float = WINDOW_S
    seed: int = 0
    turns: bool = True

    def request(self, leg: Leg) -> Request:
        """What `bench run` would be asked for this leg."""
        return Request(
            suite=self.suite,
            backends=(leg.backend,),
            device=self.device,
            budget=self.budget,
            selection=_selection(self, leg.batches),
            baseline=leg.backend,
            rounds=ROUNDS,
            window_s=self.window_s,
            seed=leg.seed,
            aa_arms=AA_ARMS,
            turns=self.turns,
        )


def folder_of(condition: Condition, *, turns: bool) -> str:
    """Where the runs of a campaign lie: those of another condition or protocol are in a folder of their own."""
    return f"aa-{condition}{'-in-turns' if turns else ''}"


def legs(comparisons: int, terms: CampaignTerms) -> tuple[Leg, ...]:
    """The runs that give at least `comparisons` A/A comparisons, in the order in which they are measured.

    The common backends carry the bulk in runs of one batch size, so that there are many clusters; each
    other one gets at least `RARE_SHARE` of a campaign that has room for it, in runs of two batch sizes, because its
    launches cost more than its windows. Raises UsageError if there is no backend.
    """
    if not terms.backends:
        raise UsageError("no backend to compare with itself: name one with --backend")
    common = [name for name in terms.backends if parse_backend(name).runner in COMMON]
    rare = [name for name in terms.backends if name not in common]
    if common and rare and comparisons < RARE_SHARE * (len(rare) + 1):
        rare = []
    found: list[Leg] = []
    each = RARE_SHARE if common else -(-comparisons // max(1, len(rare)))
    for name in rare:
        found += _enough(terms, name, (1, 4), each)
    left = comparisons - sum(leg.comparisons for leg in found)
    counts = dict.fromkeys(common, 0)
    while common and left > 0:
        name = min(common, key=lambda entry: counts[entry])
        leg = _leg(terms, name, (1,), counts[name])
        counts[name] += 1
        found.append(leg)
        left -= leg.comparisons
    return tuple(found)


def _enough(terms: CampaignTerms, name: str, batches: tuple[int, ...], wanted: int) -> list[Leg]:
    first = _leg(terms, name, batches, 0)
    return [first, *(_leg(terms, name, batches, n) for n in range(1, -(-wanted // first.comparisons)))]


def _leg(terms: CampaignTerms, name: str, batches: tuple[int, ...], number: int) -> Leg:
    points = points_of(plugins.suite(terms.suite), _selection(terms, batches))
    launch_s, point_s, cold = _COST.get(parse_backend(name).runner, _OTHER)
    launch = launch_s + len(points) * (point_s + 1.1 * terms.window_s)
    return Leg(
        backend=name,
        batches=batches,
        seed=terms.seed + number,
        comparisons=AA_ARMS * sum(len(metrics_of(point)) for point in points),
        seconds=launch * (AA_ARMS + 2) * (ROUNDS + cold),
    )


def _selection(terms: CampaignTerms, batches: tuple[int, ...]) -> Selection:
    has_batch = any(axis.name == "batch" for axis in plugins.suite(terms.suite).axes)
    return Selection(
        device_kind=terms.device.kind,
        size=terms.size or None,
        device_memory_bytes=terms.device.memory_bytes,
        axes={"batch": tuple(map(str, batches))} if has_batch else {},
    )


def stored(folder: Path, terms: CampaignTerms, leg: Leg) -> Iterator[tuple[Path, Run, int]]:
    """The runs under `folder` that this leg could have made, with how many warm rounds each lacks.

    A run that the stopping rule ended is whole: the rule is part of what is judged. Contaminated rounds count: beside a
    background load there are no others.
    """
    for path, run in runs_of(terms.request(leg), folder):
        precise = any(segment.ended == "precision" for segment in run.segments)
        yield path, run, 0 if precise else ROUNDS - len(warm_rounds(run))


@dataclass(frozen=True, slots=True, kw_only=True)
class AaCampaign:
    """A campaign's legs with the runs that are stored for them. `interrupted` legs are left to be measured."""

    terms: CampaignTerms
    legs: tuple[Leg, ...]
    folder: Path
    condition: Condition

    def finished(self) -> dict[Leg, Path]:
        """The legs that have all of their rounds, with their runs."""
        found: dict[Leg, Path] = {}
        for leg in self.legs:
            whole = [path for path, _, lacks in stored(self.folder, self.terms, leg) if lacks <= 0]
            if whole:
                found[leg] = whole[0]
        return found

    def measure(self, say: Callable[[str], None]) -> bool:
        """Measure what is missing; an interrupted segment ends the campaign. Returns whether none was interrupted."""
        done = self.finished()
        todo = [leg for leg in self.legs if leg not in done]
        say(self.outline(todo))
        quiet = self.condition == "quiet"
        beside = nullcontext() if quiet else background_load(self.terms.budget.cpus[-1], self.terms.seed)
        with beside:
            for number, leg in enumerate(todo, start=1):
                minutes = sum(entry.seconds for entry in todo[number - 1 :]) / 60
                say(
                    f"A/A run {len(done) + number} of {len(self.legs)}: {leg.backend}, {leg.comparisons} comparisons; "
                    f"about {minutes:.0f} min left"
                )
                if not self._one(leg, say):
                    return False
        return True

    def _one(self, leg: Leg, say: Callable[[str], None]) -> bool:
        begun = [(path, lacks) for path, run, lacks in stored(self.folder, self.terms, leg) if warm_rounds(run)]
        try:
            if begun:
                path, lacks = begun[-1]
                with Screen() as screen:
                    resume_run(path.parent, str(path), screen, rounds=lacks)
            else:
                self._new(leg)
        except StoreError as error:
            if not begun:
                raise
            say(f"{begun[-1][0].name} cannot go on ({error}); measured anew")
            self._new(leg)
        ended = [run.segments[-1].ended for _, run, _ in stored(self.folder, self.terms, leg) if run.segments]
        return "interrupted" not in ended[-1:]

    def _new(self, leg: Leg) -> None:
        with Screen() as screen:
            new_run(self.terms.request(leg), self.folder, screen)

    def outline(self, todo: Sequence[Leg]) -> str:
        """What is planned and how long the rest takes, in one line."""
        total = sum(leg.comparisons for leg in self.legs)
        by_backend = {leg.backend: 0 for leg in self.legs}
        for leg in self.legs:
            by_backend[leg.backend] += leg.comparisons
        shares = ", ".join(f"{name} {count}" for name, count in by_backend.items())
        return (
            f"{total} A/A comparisons in {len(self.legs)} runs ({shares}), {self.condition}; "
            f"{len(self.legs) - len(todo)} runs are stored already; "
            f"about {sum(leg.seconds for leg in todo) / 60:.0f} min, stored in {self.folder}"
        )

    def summary(self, notes: Sequence[str] = ()) -> AaCounts | None:
        """The finished runs counted; None while there is none."""
        runs = [open_run(path) for path in self.finished().values()]
        if not runs:
            return None
        return summarise(
            runs,
            condition=self.condition,
            planned=sum(leg.comparisons for leg in self.legs),
            notes=notes,
        )

    def publish(self) -> AaCounts | None:
        """Count, write `shams.json` beside the runs, and keep the counts for later runs if the campaign is whole."""
        counts = self.summary()
        if counts is not None:
            kept.write(self.folder / "shams.json", counts)
            if len(self.finished()) == len(self.legs):
                kept.keep(counts)
        return counts
