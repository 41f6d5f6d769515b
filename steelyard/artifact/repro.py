"""A case as a folder that reproduces it without this project: a script, its files, inputs with references, a page.

Whatever a stored run says enters the script as a literal of Python and nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from steelyard import plugins
from steelyard.adapters.scripts import text_of
from steelyard.artifact.readme import in_table
from steelyard.core.case import Arm, Case
from steelyard.core.comparison import Estimate
from steelyard.core.errors import Unsupported, UsageError, unknown_name
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result
from steelyard.core.runner import LaunchContext
from steelyard.core.script import Script
from steelyard.core.workload import CHOSEN_FROM, Point, TensorSpec
from steelyard.measure.driver import LATENCY
from steelyard.tables.explain import find_point
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, duration, plain, size

SCRIPT, INPUTS, REFERENCES, README = "repro.py", "inputs.npz", "references.npz", "README.md"
_WIDTH = 118
_NOWHERE = Path("/nowhere")
_EXACT = "PyTorch in float64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One backend at one configuration of a run, and the result whose options are taken."""

    facts: Facts
    arm: Arm
    point: Point
    case: Case
    result: Result

    @property
    def title(self) -> str:
        """The configuration and the backend in one line."""
        return f"{self.point.title} on {self.arm.label}"

    @property
    def median(self) -> Estimate | None:
        """The median of the run, in seconds."""
        return self.facts.median(self.arm, self.point, LATENCY)

    @property
    def stored(self) -> str:
        """That in words, or why there is none."""
        found = self.median
        if found is None:
            return f"none: {self.facts.outcome(self.arm, self.point).remark or 'no launch took steady samples'}"
        over = f"over {counted(found.n, 'launch', 'launches')}"
        if found.interval is None:
            return f"{duration(found.value)} {over}, no interval: {found.reason}"
        low, high = duration(found.interval.low), duration(found.interval.high)
        return f"{duration(found.value)} {over}, {100 * found.interval.confidence:g} % interval {low} to {high}"


def choose(facts: Facts, wanted: str, backend: str) -> Chosen:
    """The case that is meant: by its id, or by its configuration and a backend.

    Raises UsageError where that fits none or several, Unsupported for a case that no script can show.
    """
    point = find_point(facts, wanted)
    cases = facts.cases_at(point)
    arms = {arm.label: arm for arm in facts.arms if arm.backend.text in cases}
    if not backend:
        named = [arm for arm in arms.values() if cases[arm.backend.text].id.startswith(wanted)]
        if len(named) != 1 and len(arms) != 1:
            raise UsageError(f"'{wanted}' is a case of {', '.join(arms)}: name one with --backend")
        backend = (named or list(arms.values()))[0].label
    if backend not in arms:
        raise unknown_name("backend of this case", backend, arms)
    arm = arms[backend]
    case = cases[arm.backend.text]
    if facts.run.traced:
        raise UsageError(f"{facts.run.manifest.run_id} is a traced run: nothing of it was timed")
    if point.driver != "call":
        raise Unsupported(
            f"a call of '{point.workload}' is made by the driver '{point.driver}', which is no single run of one "
            f"program ({', '.join(point.programs)}): take a workload that is, such as prefill or decode for generate"
        )
    if case.device_kind != "cpu":
        raise Unsupported(f"scripts are written for the CPU, and this case ran on {case.device_kind}")
    compiled = [result for result in facts.results(arm, point) if result.options]
    if not compiled:
        remark = facts.outcome(arm, point).remark or "it was never launched"
        raise Unsupported(f"no launch of {arm.label} compiled it, so its options are not known: {remark}")
    good = facts.last_ok(arm, point)
    return Chosen(facts=facts, arm=arm, point=point, case=case, result=good or compiled[-1])


def script_of(chosen: Chosen, lowered: LoweredPoint) -> Script:
    """The runtime's part. Raises Unsupported where the runner has none."""
    kind = plugins.runner(chosen.arm.backend.runner)
    if not kind.script:
        raise Unsupported(f"{chosen.arm.label}: its runner says no way to write a script (`Runner.script`)")
    (program,) = lowered.programs.values()
    found: Script = plugins.load_attribute(kind.script)(chosen.case, program, chosen.result.options)
    return found


def script_text(chosen: Chosen, lowered: LoweredPoint, script: Script) -> str:
    """The whole script."""
    (program,) = chosen.point.programs.values()
    budget, window, median = chosen.case.budget, chosen.point.window, chosen.median
    settings = chosen.facts.run.manifest.settings
    constants = {
        "TITLE": chosen.title,
        "STORED": chosen.stored,
        "INTERVAL": None if median is None or median.interval is None else (median.interval.low, median.interval.high),
        "THREADS": budget.threads,
        "CPUS": list(budget.cpus),
        "ENVIRONMENT": _environment(chosen),
        "MODEL": script.model,
        "INPUTS": _declared(program.inputs),
        "OUTPUTS": _declared(program.outputs),
        "STATE": [spec.name for spec in program.state],
        "WINDOW": None if window is None else (window.axis, window.start, window.length),
        "CHOSEN_FROM": {spec.name: CHOSEN_FROM[spec.name] for spec in program.outputs if spec.name in CHOSEN_FROM},
        "REFERENCES_BY": lowered.reference_by or _EXACT,
        "TOLERANCE": {name: each.allowed for name, each in lowered.tolerances.items()},
        "SECONDS": settings.window_s if settings else 2.0,
        **script.constants,
    }
    head = Template(text_of("head")).substitute(
        constants="\n".join(f"{name} = {literal(value)}" for name, value in constants.items())
    )
    return f"{head}{script.code}{text_of('measure')}"


def _declared(specs: Iterable[TensorSpec]) -> dict[str, tuple[str, list[int]]]:
    return {spec.name: (spec.dtype, list(spec.shape)) for spec in specs}


def literal(value: Any) -> str:
    """A plain value as Python writes it, a mapping that is too long for a line with a line for each entry."""
    if isinstance(value, str) and "'" not in value and '"' not in value:
        return f'"{repr(value)[1:-1]}"'
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    if not isinstance(value, Mapping):
        return repr(value)
    entries = [f"{literal(key)}: {literal(entry)}" for key, entry in value.items()]
    line = f"{{{', '.join(entries)}}}"
    return line if len(line) <= _WIDTH else "\n".join(["{", *(f"    {entry}," for entry in entries), "}"])


def _environment(chosen: Chosen) -> dict[str, str]:
    """The variables of a launch, without those that name its folders."""
    run = chosen.facts.run.manifest
    context = LaunchContext(
        backend=chosen.arm.backend,
        device=run.device,
        budget=chosen.case.budget,
        compile_cache=_NOWHERE,
        scratch=_NOWHERE,
    )
    found = plugins.runner(chosen.arm.backend.runner).environment(context)
    return {name: value for name, value in found.items() if not value.startswith(str(_NOWHERE))}


def readme(
    chosen: Chosen, lowered: LoweredPoint, script: Script, files: Mapping[str, int], notes: Iterable[str]
) -> str:
    """The page beside the script; `files` are sizes in bytes by name, `notes` in what it is not as the run was."""
    return "\n".join(_lines(chosen, lowered, script, files, notes)) + "\n"


def _lines(
    chosen: Chosen, lowered: LoweredPoint, script: Script, files: Mapping[str, int], notes: Iterable[str]
) -> Iterator[str]:
    manifest, result = chosen.facts.run.manifest, chosen.result
    versions = result.proof.versions if result.proof else {}
    budget = chosen.case.budget
    yield f"# {in_table(chosen.title)}\n"
    yield "```sh\npython repro.py\n```\n"
    yield (
        f"loads `{script.model}`, compiles it with the options that the run used, holds the outputs against "
        "references, and prints the median time of a call. It needs "
        f"{' and '.join(('numpy', *script.packages))}, and nothing else. Exit code 0 if the outputs are right, 1 if "
        "not.\n"
    )
    yield "| | |\n|---|---|"
    told = {
        "Median of the run": chosen.stored,
        "Outcome": f"{result.status}{f': {result.reason}' if result.reason else ''}",
        "References by": lowered.reference_by or _EXACT,
        "Versions": ", ".join(f"{name} {text}" for name, text in sorted(versions.items())) or "not told",
        "Python": plain(manifest.environment.get("python", "not told")),
        "Machine": f"{manifest.device.name}, {counted(budget.threads, 'thread')}",
        "Tuning": f"{budget.tuning}, precision {budget.precision}",
        "Run": f"{manifest.run_id}, case {chosen.case.id}, by steelyard {manifest.tool_version}",
    }
    yield from (f"| {name} | {in_table(text)} |" for name, text in told.items())
    yield "\n| file | size |\n|---|---:|"
    yield from (f"| `{name}` | {size(count)} |" for name, count in sorted(files.items()))
    yield "\n## What is not as in the run\n"
    own = "Calls are made one after the other in one process; the run took medians over fresh processes in turns."
    yield from (f"- {in_table(text)}" for text in (own, *script.remarks, *notes))
