"""From a run to what a report prints."""

from steelyard.core.run import Run
from steelyard.tables import (
    accelerator,
    amortised,
    calls,
    ceilings,
    circumstances,
    coverage,
    efficiency,
    energy,
    evidence,
    memory,
    noise,
    overall,
    parts,
    profiles,
    provenance,
    references,
    shams,
    speed,
    startup,
    words,
    work,
)
from steelyard.tables.facts import Facts, gather
from steelyard.tables.macros import macros
from steelyard.tables.table import ReportData


def build(run: Run) -> ReportData:
    """Compare and summarise a run, and lay everything out as tables, sentences and macros."""
    return lay_out(gather(run))


def lay_out(facts: Facts) -> ReportData:
    """The same from facts gathered before."""
    manifest = facts.run.manifest
    speeds = speed.speed_tables(facts)
    mean = overall.overall_table(facts)
    device = provenance.device(facts)
    cited = references.references(facts)
    return ReportData(
        run_id=manifest.run_id,
        title=f"{manifest.suite} on {manifest.device.name}",
        created_utc=manifest.created_utc,
        device=device,
        baseline=manifest.baseline,
        headline_workload=manifest.headline,
        arms=tuple(arm.label for arm in facts.arms),
        headline=words.headline(facts),
        paragraphs=words.paragraphs(facts, cited),
        tables=(
            *speeds,
            *(() if mean is None else (mean,)),
            *parts.parts_tables(facts),
            startup.startup_table(facts),
            memory.memory_table(facts),
            *accelerator.accelerator_tables(facts),
            energy.energy_table(facts),
            energy.power_table(facts),
            efficiency.efficiency_table(facts),
            coverage.coverage_table(facts),
            evidence.correctness_table(facts),
            evidence.proof_table(facts),
            evidence.tuning_table(facts),
            evidence.identity_table(facts),
            memory.plan_table(facts),
            efficiency.goodput_table(facts),
            work.work_table(facts),
            ceilings.roofs_table(facts),
            ceilings.latency_table(facts),
            circumstances.spread_table(facts),
            circumstances.outlook_table(facts),
            noise.control_table(facts),
            shams.shams_table(facts),
            noise.segments_table(facts),
            circumstances.texts_table(facts),
            circumstances.plan_table(facts),
            circumstances.environment_table(facts),
            noise.launches_table(facts),
            profiles.profile_table(facts),
            amortised.amortised_table(facts),
            ceilings.ceilings_table(facts),
        ),
        macros=macros(
            manifest.run_id,
            manifest.device.name,
            manifest.baseline,
            len(facts.run.launches),
            speeds,
            facts.run.digest,
        ),
        software=provenance.software(facts),
        samples=calls.samples(facts),
        references=cited,
    )
