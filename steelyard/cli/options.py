"""Options that several verbs have, from text to what a request takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import UsageError, unknown_name
from steelyard.service.asked import SUITE

_AS_THEY_ARE = (
    "device", "size", "baseline", "tuning", "scenario", "threads", "cpus", "time", "rounds", "quick", "window",
    "latency_bound", "memory_cap", "l2", "tolerance", "allow_foreign_processes", "wait", "energy", "estimate_energy",
    "seed",
)  # fmt: skip


def run_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `steelyard.service.asked.request_of` takes, of the options of `bench run` by their parameters' names."""
    if given["turns"] not in ("on", "off"):
        raise unknown_name("turns", given["turns"], ("on", "off"))
    paths = {name: given[name] and Path(given[name]) for name in ("model", "weights", "inputs", "meter")}
    suite, weights = model_of(
        given["suite"], paths["model"], paths["weights"], shape=given["shape"], inputs=paths["inputs"]
    )
    return {
        **{name: given[name] for name in _AS_THEY_ARE},
        "suite": suite,
        "backends": given["backend"] or (),
        "ladder": given["ladder"] or (),
        "workloads": given["workload"] or (),
        "exclude": given["exclude"] or (),
        "axes": axes_of(given["set_"] or [], shape=given["shape"], inputs=paths["inputs"]),
        "weights": weights,
        "timeouts": timeouts_of(given["timeout"] or []),
        "turns": given["turns"] == "on",
        "meter": paths["meter"],
    }


def model_of(
    suite: str, model: Path | None, weights: Path | None, *, shape: Sequence[str] | None, inputs: Path | None
) -> tuple[str, Path | None]:
    """The suite and its weights: with `--model` those of a model of the user's own. Raises UsageError for options that
    go with it alone, or not with it."""
    if model is None:
        if shape or inputs:
            raise UsageError(f"{'--shape' if shape else '--inputs'} goes with --model")
        return suite, weights
    if weights is not None:
        raise UsageError("--model holds its weights itself: leave --weights out")
    if suite != SUITE:
        raise UsageError(
            f"--model is measured alone, not beside the suite '{suite}': leave one of --suite and --model out"
        )
    is_code = ":" in str(model) and not model.exists()
    return "model", model if is_code else model.absolute()


def axes_of(
    settings: Sequence[str], *, shape: Sequence[str] | None = None, inputs: Path | None = None
) -> dict[str, tuple[str, ...]]:
    """Values by axis, of `--set AXIS=VALUE[,VALUE...]`, `--shape` and `--inputs`."""
    axes: dict[str, tuple[str, ...]] = {}
    for setting in settings:
        name, equals, values = setting.partition("=")
        if not equals or not values:
            raise UsageError(f"--set '{setting}' is not of the form AXIS=VALUE[,VALUE...]")
        axes[name] = tuple(value.strip() for value in values.split(",") if value.strip())
    if shape:
        axes["shape"] = tuple(shape)
    if inputs:
        axes["inputs"] = (str(inputs.absolute()),)
    return axes


def timeouts_of(settings: Sequence[str]) -> dict[str, float]:
    """Seconds by stage, of `--timeout STAGE=SECONDS`."""
    timeouts = {}
    for setting in settings:
        stage, _, value = setting.partition("=")
        try:
            timeouts[stage] = float(value)
        except ValueError:
            raise UsageError(f"--timeout '{setting}' is not of the form STAGE=SECONDS, with seconds above 0") from None
    return timeouts
