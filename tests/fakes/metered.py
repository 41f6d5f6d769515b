"""Synthetic runs on a machine with a meter: the truth about each arm's joules is known."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from steelyard.core.energy import EnergyUse, PowerTrace
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Result
from steelyard.core.run import Run

WATTS = 80.0
IDLE_W = 30.0
WINDOW_S = 2.1


def metered_run(run: Run, *, watts: Mapping[str, float] | None = None, seed: int = 0, estimate: bool = False) -> Run:
    """The run as a machine would have stored it whose package draws WATTS in a call, or by arm what `watts` says."""
    rng = np.random.default_rng(seed)
    return replace(run, results=tuple(_metered(result, watts or {}, rng, estimate) for result in run.results))


def _metered(result: Result, watts: Mapping[str, float], rng: np.random.Generator, estimate: bool) -> Result:
    latency = result.measurement("latency_s")
    if result.round == 0 or latency is None:
        return result
    power = watts.get(result.arm, WATTS) * float(np.exp(rng.normal(0, 0.004)))
    call_s = float(np.median(latency.samples))
    calls = max(1, round(WINDOW_S / call_s))
    window_s = calls * call_s
    after = math.ceil(window_s / 0.1)
    use = EnergyUse(
        source="rapl",
        kind="counter",
        quality="measured_counter",
        boundary="package-0",
        calls=calls,
        window_s=window_s,
        gross_j=power * window_s,
        uncertainty_j=0.002 * power,
        net_j=(power - IDLE_W) * window_s,
        net_uncertainty_j=0.02 * power,
        idle_before_w=IDLE_W,
        idle_after_w=IDLE_W,
        update_period_s=0.001,
        period_measured=True,
        resolution_j=1e-6,
        range_j=262143.3,
        domains={"package-0": power * window_s},
        trace=PowerTrace(
            times_s=tuple(round(0.1 * step, 4) for step in range(-20, after + 21)),
            watts=tuple(round(power, 2) if 0 <= step < after else IDLE_W for step in range(-20, after + 20)),
        ),
    )
    guess = Reading(value=0.7 * use.gross_j / calls, unit="J", method="estimated_model: 100 W x CPU time / 8 CPUs")
    return replace(result, energy=use.per_call, energy_use=use, energy_estimate=guess if estimate else None)


def estimated_run(run: Run) -> Run:
    """The run of a machine without a meter, on which an estimate was asked for."""
    guess = Reading(value=1.25, unit="J", method="estimated_model: 100 W x CPU time / 8 CPUs")
    no_meter = absent("J", "no_device: no powercap on this virtual machine")
    return replace(
        run,
        results=tuple(
            replace(result, energy=no_meter, energy_estimate=guess) if result.round else result
            for result in run.results
        ),
    )
