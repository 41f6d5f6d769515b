"""The fields of an explained case: one thing known of each backend, and whether the backends differ in it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steelyard.core.case import Arm
from steelyard.core.result import READ_BACK, Proof, Result
from steelyard.core.run import TuningRow
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, counted, duration, plain, scientific, size

_PHASES = ("import_s", "load_s", "compile_s", "first_run_s", "second_run_s")
_TWICE = "compile_s"
"""The phase that is told for empty caches too."""
_NOT_KNOWN = "not known"
"""How `plain` begins what stands for an unknown value."""

_COPIES = re.compile(r"cop(y|ies)|memcpy", re.IGNORECASE)

Compared = Literal["same", "differs", "not told", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing known of each backend, as text by arm label.

    `compared` is `differs` where two backends told different values, `not told` where some told none and
    the others agree, `measured` where values are results, which differ on their own account.
    """

    name: str
    values: Mapping[str, str]
    compared: Compared


def request_fields(facts: Facts, arms: tuple[Arm, ...], point: Point) -> tuple[Field, ...]:
    """What a backend was given: formats, artifacts, variables."""
    manifest = facts.run.manifest
    rows = {arm.label: tuning_row(facts, arm) for arm in arms}
    lowered = manifest.lowered.get(point.key)

    def formats(arm: Arm) -> str | None:
        row = rows[arm.label]
        return plain(row.formats) if row is not None and row.formats else None

    def artifacts(arm: Arm, of: Callable[[str], str | None]) -> str | None:
        row = rows[arm.label]
        if lowered is None or row is None or not row.formats:
            return None
        texts = {role: of(f"{role}/{name}") for role in point.programs for name in row.formats if name != "module"}
        known = {role: text for role, text in texts.items() if text}
        if not known:
            return "the module itself" if "module" in row.formats else None
        return plain(known) if len(known) > 1 else next(iter(known.values()))

    def hashed(arm: Arm) -> str | None:
        return artifacts(arm, lambda key: lowered.artifact_sha256.get(key, "")[:8] if lowered else None)

    def weighed(arm: Arm) -> str | None:
        def of(key: str) -> str | None:
            count = lowered.weight_bytes.get(key) if lowered else None
            return None if count is None else size(count)

        return artifacts(arm, of)

    def kept(arm: Arm) -> str | None:
        row = rows[arm.label]
        return None if row is None else row.keeps_cache or "nothing"

    fields = [
        _field("format", arms, formats),
        _field("artifact", arms, hashed),
        _field("weights in it", arms, weighed),
        _field("kept on disk", arms, kept),
    ]
    variables = {arm.label: varied(facts, arm, point, _variables) for arm in arms}
    proofs = {arm.label: [r.proof for r in facts.distinct_results(arm, point) if r.proof is not None] for arm in arms}
    told = {label for label, found in proofs.items() if any("environment" in proof.budget for proof in found)}
    unset = {arm.label: "unset" if arm.label in told else None for arm in arms}
    return (*fields, *_rows(arms, variables, missing=unset, silent=_without_proof(facts, arms, point)))


def execution_fields(facts: Facts, arms: tuple[Arm, ...], point: Point) -> tuple[Field, ...]:
    """What a backend did, as it was read back: place, type, threads, budget, execution mode."""

    silent = _without_proof(facts, arms, point)

    def proved(name: str, of: Callable[[Proof], Any]) -> Field:
        values = {
            arm.label: _distinct(r.proof and of(r.proof) for r in facts.distinct_results(arm, point)) for arm in arms
        }
        return _field(name, arms, lambda arm: values[arm.label], silent=silent)

    def status(arm: Arm) -> str:
        outcome = facts.outcome(arm, point)
        share = f" ({outcome.ok} of {outcome.launches} launches ok)" if outcome.launches else ""
        return outcome.status.replace("_", " ") + share

    fields = [
        _field("status", arms, status),
        proved("ran on", lambda proof: f"{proof.runtime} {plain(proof.versions)}"),
        proved("platform", lambda proof: proof.platform),
        proved("placement", lambda proof: plain(proof.placement) if proof.placement else None),
        proved("computed in", lambda proof: proof.dtype),
        proved("threads", lambda proof: proof.threads),
    ]
    read_back = {arm.label: varied(facts, arm, point, _budget) for arm in arms}
    fields += _rows(arms, read_back, names=[word for word in READ_BACK if word != "environment"], silent=silent)
    fields += [
        proved("graphs captured", lambda proof: proof.graphs),
        proved("graph breaks", lambda proof: proof.graph_breaks),
        proved("recompiles", lambda proof: proof.recompiles),
        proved("copies between devices", _copies),
        proved("mismatches", lambda proof: "; ".join(proof.mismatches) or "none"),
    ]
    used = {arm.label: varied(facts, arm, point, lambda result: result.idiom) for arm in arms}
    fields += _rows(arms, used, prefix="execution mode: ", silent=silent)
    return tuple(field for field in fields if any(text != ABSENT for text in field.values.values()))


def correctness_fields(facts: Facts, arms: tuple[Arm, ...], point: Point) -> tuple[Field, ...]:
    """How near its outputs came to the reference: the output nearest to its tolerance over all launches."""
    found: dict[str, dict[str, str]] = {}
    for arm in arms:
        checks = [r.correctness for r in facts.results(arm, point) if r.correctness is not None]
        outputs = [output for check in checks for output in check.outputs]
        if not outputs:
            continue
        worst = max(outputs, key=lambda output: output.share)
        found[arm.label] = {
            "passed": f"{sum(check.passed for check in checks)} of {counted(len(checks), 'launch', 'launches')}",
            "worst output": worst.output,
            "relative error": scientific(worst.relative_l2),
            "tolerance": scientific(worst.tolerance),
            "calls checked": str(sum(check.calls_checked for check in checks)),
        }
    return tuple(_rows(arms, found, measured=True))


def cost_fields(facts: Facts, arms: tuple[Arm, ...], point: Point) -> tuple[Field, ...]:
    """Where the time went by phase, how steady it was, and the peaks of memory."""

    def timed(metric: str) -> Callable[[Arm], str | None]:
        def of(arm: Arm) -> str | None:
            estimate = facts.estimate(arm, point, metric) if facts.outcome(arm, point).speed else None
            return None if estimate is None else duration(estimate.value)

        return of

    def phase(metric: str, state: str) -> Callable[[Arm], str | None]:
        def of(arm: Arm) -> str | None:
            estimate = facts.phase(arm, point, metric, state)
            return None if estimate is None else duration(estimate.value)

        return of

    def steady(arm: Arm) -> str | None:
        summary = next(
            (s for metric in metrics_of(point) if (s := facts.summary(arm, point, metric)) is not None), None
        )
        if summary is None or not summary.steady:
            return None
        classes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(summary.steady.items()))
        return classes if summary.cut is None else f"{classes}; after {summary.cut:g} calls"

    def memory(stage: str) -> Callable[[Arm], str | None]:
        def of(arm: Arm) -> str | None:
            estimate = facts.memory(arm, point, f"host_peak_bytes/{stage}")
            return None if estimate is None else size(estimate.value)

        return of

    both = [(metric, state) for metric in _PHASES for state in ("cold", "warm")]
    rows = [
        (f"{metric.removesuffix('_s').replace('_', ' ')}, {state}", phase(metric, state))
        for metric, state in both
        if state == "warm" or metric == _TWICE
    ]
    rows += [(f"{metric.removesuffix('_s')}, steady", timed(metric)) for metric in metrics_of(point)]
    rows.append(("steady state", steady))
    rows += [(f"memory peak, {stage}", memory(stage)) for stage in ("compile", "steady")]
    fields = (_field(name, arms, of, measured=True) for name, of in rows)
    return tuple(field for field in fields if any(text != ABSENT for text in field.values.values()))


def _rows(
    arms: tuple[Arm, ...],
    table: Mapping[str, Mapping[str, str]],
    *,
    names: Sequence[str] | None = None,
    prefix: str = "",
    missing: Mapping[str, str | None] | None = None,
    measured: bool = False,
    silent: frozenset[str] = frozenset(),
) -> list[Field]:
    """A field for each name in a table by arm label; `missing` is what an arm without the name is said to have."""

    def value(name: str) -> Callable[[Arm], str | None]:
        return lambda arm: table.get(arm.label, {}).get(name, (missing or {}).get(arm.label))

    present = dict.fromkeys(name for found in table.values() for name in found)
    shown = list(present) if names is None else names
    titles = shown if missing is not None else [prefix + name.replace("_", " ") for name in shown]
    return [
        _field(title, arms, value(name), measured=measured, silent=silent)
        for title, name in zip(titles, shown, strict=True)
    ]


def _variables(result: Result) -> Mapping[str, Any]:
    found = result.proof.budget.get("environment", {}) if result.proof is not None else {}
    return found if isinstance(found, Mapping) else {}


def _budget(result: Result) -> Mapping[str, Any]:
    return result.proof.budget if result.proof is not None else {}


def _copies(proof: Proof) -> str | None:
    """What the runtime tells of copies that it put into the program; None where it tells nothing."""
    found = {name: value for name, value in flat(proof.details).items() if _COPIES.search(name)}
    return plain(found) if len(found) > 1 else next(iter(found.values()), None)


def _field(
    name: str,
    arms: tuple[Arm, ...],
    of: Callable[[Arm], str | None],
    *,
    measured: bool = False,
    silent: frozenset[str] = frozenset(),
) -> Field:
    """A field with its values compared; arms in `silent` never ran, and say nothing for or against the others."""
    values = {arm.label: of(arm) for arm in arms}
    heard = [text for label, text in values.items() if label not in silent]
    told = {text for text in heard if text is not None and not text.startswith(_NOT_KNOWN)}
    compared: Compared = "differs" if len(told) > 1 else "same" if told and set(heard) == told else "not told"
    return Field(
        name=name,
        values={label: ABSENT if text is None else text for label, text in values.items()},
        compared="measured" if measured else compared,
    )


def _without_proof(facts: Facts, arms: tuple[Arm, ...], point: Point) -> frozenset[str]:
    """The arms of which no launch came as far as a proof."""
    return frozenset(
        arm.label for arm in arms if all(result.proof is None for result in facts.distinct_results(arm, point))
    )


def tuning_row(facts: Facts, arm: Arm) -> TuningRow | None:
    """The declared tuning that the run used for an arm, where the run holds one."""
    manifest = facts.run.manifest
    used = manifest.budget.tuning
    return next((row for row in manifest.tunings if row.backend == arm.backend.text and row.tuning == used), None)


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as `outer.inner` with values as text."""
    found: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, Mapping) and value and set(value) != {"value", "reason"}:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = plain(value)
    return found


def varied(facts: Facts, arm: Arm, point: Point, of: Callable[[Result], Mapping[str, Any]]) -> dict[str, str]:
    """By name every distinct value over the launches: `a; in other launches b`.

    `of` takes it from a result's proof, execution mode or options.
    """
    found: dict[str, list[str]] = {}
    for result in facts.distinct_results(arm, point):
        for name, value in of(result).items():
            values = found.setdefault(name, [])
            if (text := plain(value)) not in values:
                values.append(text)
    return {name: "; in other launches ".join(values) for name, values in found.items()}


def _distinct(values: Iterable[Any]) -> str | None:
    """The distinct values over the launches, None where no launch told one."""
    texts = list(dict.fromkeys(plain(value) for value in values if value is not None))
    return "; in other launches ".join(texts) or None
