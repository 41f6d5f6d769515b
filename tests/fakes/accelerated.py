"""Synthetic runs on an accelerator: one backend tells the device's own time and was slowed, the others tell none."""

from dataclasses import replace

from steelyard.core.backend import Device
from steelyard.core.details import BoardFacts, NotTold
from steelyard.core.run import Run

GPU = Device(kind="cuda", index=0, name="Synthetic GPU 9", memory_bytes=80 << 30)
HEAT = BoardFacts(slowed_by=("power cap",), slowed_s={"power cap": 0.3}, foreign_processes=1)
QUIET = BoardFacts(slowed_by=(), foreign_processes=0)


def accelerated(run: Run) -> Run:
    """The run with a cold L2 cache: its baseline tells the device's time, a fifth below the host's, and was slowed in
    the rounds 2 and 3; the others tell none."""
    results = []
    for result in run.results:
        ours = result.arm.startswith(run.manifest.baseline)
        slowed = result.round in (2, 3) and result.arm == run.manifest.baseline
        untold = None if ours else NotTold(reason="no events on this clock")
        details = replace(result.details, board=HEAT if slowed else QUIET, device_time=untold)
        host = result.measurement("latency_s")
        measurements, options = result.measurements, result.options
        if ours:
            options = {"graphs": "CUDA graphs"}
            if host is not None:
                own = tuple(0.8 * sample for sample in host.samples)
                device = replace(host, metric="device_s", layer="device", samples=own, digest="")
                measurements = (*measurements, device)
        results.append(replace(result, details=details, measurements=measurements, options=options))
    budget = replace(run.manifest.budget, l2="cold")
    return replace(run, results=tuple(results), manifest=replace(run.manifest, budget=budget))
