"""Why a number may be believed: errors against the reference, what really ran, tuning, execution modes, identities."""

from steelyard.core.result import Proof
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, plain, size
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def correctness_table(facts: Facts) -> Table:
    """The worst output over all checked calls of all launches, per backend and point."""
    foot = Footnotes()
    rows = []
    for point in facts.points:
        for arm in facts.arms:
            checks = [r.correctness for r in facts.results(arm, point) if r.correctness is not None]
            outputs = [output for check in checks for output in check.outputs]
            head = (Cell(text=facts.label(point)), Cell(text=arm.label))
            if not outputs:
                mark = foot.mark(f"{arm.label}: {facts.outcome(arm, point).remark}")
                blank = tuple(Cell(text=ABSENT) for _ in range(5))
                cells = (*head, *blank[:-1], Cell(text="not checked", notes=(mark,)), Cell(text=ABSENT))
            else:
                worst = max(outputs, key=lambda output: output.share)
                failed = sum(not check.passed for check in checks)
                reasons = "; ".join(sorted({check.reason for check in checks if check.reason}))
                marks = (foot.mark(f"{arm.label}: {reasons or 'no reason was recorded'}"),) if failed else ()
                verdict = "passed" if not failed else f"failed in {failed} of {len(checks)} launches"
                cells = (
                    *head,
                    Cell(text=worst.output),
                    Cell(value=worst.relative_l2),
                    Cell(value=worst.tolerance),
                    Cell(value=worst.max_abs),
                    Cell(text=verdict, flags=("failed",) if failed else (), notes=marks),
                    Cell(value=sum(check.calls_checked for check in checks)),
                )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    return Table(
        name="correctness",
        title="Correctness",
        caption="Outputs of timed calls that the backend could not foresee, against the fp64 reference: the output "
        "nearest to its tolerance over all launches, |out - ref| / |ref| in the 2-norm, and its largest absolute "
        "difference.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="output", title="Output", kind="code"),
            Column(key="relative_l2", title="Relative error", kind="scientific", unit="1"),
            Column(key="tolerance", title="Tolerance", kind="scientific", unit="1"),
            Column(key="max_abs", title="Largest difference", kind="scientific", unit="1"),
            Column(key="verdict", title="Check"),
            Column(key="calls", title="Calls checked", kind="integer"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts, estimates=False),
        place="detail",
        empty="nothing was planned",
    )


def proof_table(facts: Facts) -> Table:
    """What really ran, read back from the runtime. Launches of one backend that differ are shown each."""
    foot = Footnotes()
    rows = []
    for point in facts.points:
        for arm in facts.arms:
            proofs = {_proof_key(r.proof): r.proof for r in facts.distinct_results(arm, point) if r.proof is not None}
            head = (Cell(text=facts.label(point)), Cell(text=arm.label))
            if not proofs:
                mark = foot.mark(f"{arm.label}: {facts.outcome(arm, point).remark}")
                cells = (*head, Cell(text="no proof", notes=(mark,)), *(Cell(text=ABSENT) for _ in range(5)))
                rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
            for proof in proofs.values():
                marks = tuple(foot.mark(f"{arm.label}: {text}") for text in (*proof.mismatches, *proof.remarks))
                cells = (
                    *head,
                    Cell(text=proof.platform, notes=marks, flags=("failed",) if proof.mismatches else ()),
                    Cell(text=proof.dtype),
                    Cell(text=plain(proof.placement) if proof.placement else "not told", notes=()),
                    _count(proof.threads),
                    _count(proof.graph_breaks),
                    _count(proof.recompiles),
                )
                rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    return Table(
        name="proof",
        title="Proof of execution",
        caption="What really ran, read back from each runtime; graph breaks and recompilations in the timed window.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="platform", title="Platform"),
            Column(key="dtype", title="Dtype"),
            Column(key="placement", title="Placement", wide=True),
            Column(key="threads", title="Threads", kind="integer"),
            Column(key="graph_breaks", title="Breaks", kind="integer"),
            Column(key="recompiles", title="Recompiles", kind="integer"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts, estimates=False),
        place="detail",
        empty="nothing was planned",
    )


def _proof_key(proof: Proof) -> str:
    return plain(
        {
            "platform": proof.platform,
            "dtype": proof.dtype,
            "threads": proof.threads,
            "placement": dict(proof.placement),
            "breaks": proof.graph_breaks,
            "recompiles": proof.recompiles,
            "mismatches": proof.mismatches,
            "remarks": proof.remarks,
        }
    )


def _count(number: int | None) -> Cell:
    return Cell(text="not told") if number is None else Cell(value=number)


def tuning_table(facts: Facts) -> Table:
    """Exact options of both tunings of each backend, the one used with what was compiled; execution mode, disk."""
    rows = []
    used_tuning = facts.run.manifest.budget.tuning
    for tuning in facts.run.manifest.tunings:
        in_use = tuning.tuning == used_tuning
        labels = [arm.label for arm in facts.arms if tuning.backend in (arm.label, arm.backend.text)]
        used = {
            plain(result.options)
            for arm in facts.arms
            if arm.label in labels
            for point in facts.points
            for result in facts.distinct_results(arm, point)
            if result.options
        }
        cells = (
            Cell(text=tuning.backend),
            Cell(text=f"{tuning.tuning} (used)" if in_use else tuning.tuning),
            Cell(text=plain(tuning.options) or "none"),
            Cell(text=("; ".join(sorted(used)) or "nothing was compiled") if in_use else "not used in this run"),
            Cell(
                text=("; ".join(provenance.execution_mode(facts, label) for label in labels) or "none recorded")
                if in_use
                else ABSENT
            ),
            Cell(text=(tuning.keeps_cache or "nothing") if in_use else ABSENT),
        )
        rows.append(Row(cells=cells, tags={"arm": labels[0] if labels else tuning.backend}))
    return Table(
        name="tuning",
        title="Tuning and execution modes",
        caption="Exact options that each backend declares for its tunings; for the one used in this run, what each "
        "program was compiled with, and how it was used.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="tuning", title="Tuning"),
            Column(key="options", title="Declared options", kind="code", wide=True),
            Column(key="compiled", title="Compiled with", kind="code", wide=True),
            Column(key="execution_mode", title="Execution mode", wide=True),
            Column(key="cache", title="Kept on disk", wide=True),
        ),
        rows=tuple(rows),
        place="detail",
        empty="no tuning was declared",
    )


def identity_table(facts: Facts) -> Table:
    """Identities of the points: equal digests mean equal work. Weight bytes of each artifact."""
    rows = []
    for point in facts.points:
        lowered = facts.run.manifest.lowered.get(point.key)
        if lowered is None:
            blank = Cell(text="not lowered")
            rows.append(Row(cells=(Cell(text=facts.label(point)), *([blank] * 7)), tags={"workload": point.workload}))
            continue
        identity = lowered.identity
        digests = (identity.definition, identity.code, identity.weights, identity.inputs, identity.reference)
        sizes = ", ".join(f"{name} {size(count)}" for name, count in sorted(lowered.weight_bytes.items()))
        rows.append(
            Row(
                cells=(
                    Cell(text=facts.label(point)),
                    Cell(text=origin(facts, point.key)),
                    *(Cell(text=digest[:8] or "not told") for digest in digests),
                    Cell(text="; ".join([sizes, *(f"{k}: {v}" for k, v in sorted(lowered.weight_notes.items()))])),
                ),
                tags={"workload": point.workload, "point": facts.label(point)},
            )
        )
    lowered_by = {facts.label(point): facts.run.manifest.lowered.get(point.key) for point in facts.points}
    told = {label: found.reference_by for label, found in lowered_by.items() if found is not None}
    return Table(
        name="identity",
        notes=tuple(f"{label}: the reference was computed by {who}." for label, who in told.items() if who),
        title="Identity of the work",
        caption="What was computed: the first 8 digits of the sha256 of definition, code of the suite, weights, inputs "
        "and reference. All backends of a run share them; runs with unlike ones are not compared.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="origin", title="Weights from"),
            Column(key="definition", title="Definition", kind="code"),
            Column(key="code", title="Code", kind="code"),
            Column(key="weights", title="Weights", kind="code"),
            Column(key="inputs", title="Inputs", kind="code"),
            Column(key="reference", title="Reference", kind="code"),
            Column(key="weight_bytes", title="Weight bytes by format", wide=True),
        ),
        rows=tuple(rows),
        place="detail",
        empty="nothing was planned",
    )


def origin(facts: Facts, key: str) -> str:
    """Where a point's weights come from: `real`, `seeded`, `checkpoint`."""
    point = next(point for point in facts.points if point.key == key)
    return ", ".join(sorted({program.weights.origin for program in point.programs.values()}))


SECTION = Section(
    name="evidence",
    tables={1100: correctness_table, 1200: proof_table, 1300: tuning_table, 1400: identity_table},
)
