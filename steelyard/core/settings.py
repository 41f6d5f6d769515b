"""What was asked of a run, as its manifest stores it under `plan`: written and read here alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steelyard.core.case import Scenario
from steelyard.core.energy import EnergySettings, settings_of
from steelyard.core.shard import ShardPlace

_REQUIRED = ("suite", "scenario", "maximum_rounds", "quick", "window_s", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`suite` is the name by which it is found. `time_s` is the time that was given, None where there was no limit;
    `window_s` the seconds of timed calls of a case in a launch. `turns` is whether launches were to take turns: they
    were not in runs that are older than turns. `piece` is how many turns every other one lasts, 1 but for calibration.
    `allow_foreign` is None on a CPU. `shard` is which part of a plan the run is, None for a whole one. `ladders` are
    rungs in orders whose increments are shown: backends as they were named, or values of an axis
    (`steelyard.core.ladder`). `latency_bound_s` is the latency within which the best is looked for
    (`steelyard.core.latency_bound`), None without one.
    """

    suite: str
    scenario: Scenario
    minimum_rounds: int
    maximum_rounds: int
    quick: bool
    time_s: float | None
    window_s: float
    seed: int
    energy: EnergySettings
    turns: bool = False
    piece: int = 1
    allow_foreign: bool | None = None
    shard: ShardPlace | None = None
    ladders: tuple[tuple[str, ...], ...] = ()
    latency_bound_s: float | None = None

    @property
    def stored(self) -> Mapping[str, Any]:
        """The form in which a manifest keeps it."""
        return {
            "suite": self.suite,
            "scenario": self.scenario,
            "minimum_rounds": self.minimum_rounds,
            "maximum_rounds": self.maximum_rounds,
            "quick": self.quick,
            "time_s": self.time_s,
            "window_s": self.window_s,
            "energy": self.energy.stored,
            "seed": self.seed,
            "turns": self.turns,
            **({"piece": self.piece} if self.piece > 1 else {}),
            **({} if self.allow_foreign is None else {"allow_foreign_processes": self.allow_foreign}),
            **({} if self.shard is None else {"shard": asdict(self.shard)}),
            **({"ladders": [list(rungs) for rungs in self.ladders]} if self.ladders else {}),
            **({} if self.latency_bound_s is None else {"latency_bound_s": self.latency_bound_s}),
        }


def missing(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """What a stored plan does not say, of that without which a run cannot be made again."""
    return tuple(name for name in _REQUIRED if name not in plan)


def read(plan: Mapping[str, Any], meter: str = "") -> Settings | None:
    """The settings of a stored plan, of any version; None where it does not say them. `meter` is the log of an external
    meter to read now: no run stores its path."""
    if missing(plan):
        return None
    return Settings(
        **{name: plan[name] for name in _REQUIRED},
        minimum_rounds=plan.get("minimum_rounds", 0),
        time_s=plan.get("time_s"),
        energy=settings_of(plan, meter),
        turns=plan.get("turns", False),
        piece=plan.get("piece", 1),
        allow_foreign=plan.get("allow_foreign_processes"),
        shard=ShardPlace(**plan["shard"]) if "shard" in plan else None,
        ladders=tuple(tuple(rungs) for rungs in plan.get("ladders", ())),
        latency_bound_s=plan.get("latency_bound_s"),
    )
