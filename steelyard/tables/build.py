"""From a run to what a report prints."""

from dataclasses import replace

from steelyard.core.run import Run
from steelyard.tables import calls, provenance, words
from steelyard.tables.facts import Facts, gather
from steelyard.tables.macros import macros
from steelyard.tables.references import references
from steelyard.tables.section import tables_of
from steelyard.tables.table import ReportData


def build(run: Run) -> ReportData:
    """Compare and summarise a run, and lay everything out as tables, sentences and macros."""
    return lay_out(gather(run))


def lay_out(facts: Facts) -> ReportData:
    """The same from facts gathered before."""
    manifest = facts.run.manifest
    cited = references(facts)
    device = provenance.device(facts)
    tables = tuple(replace(each, conditions=each.conditions or f"On {device}.") for each in tables_of(facts))
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
        tables=tables,
        macros=macros(
            manifest.run_id,
            manifest.device.name,
            manifest.baseline,
            len(facts.run.launches),
            [table for table in tables if table.is_speed],
            facts.run.digest,
        ),
        conditions=provenance.shared(facts),
        software=provenance.software(facts),
        samples=calls.samples(facts),
        references=cited,
    )
