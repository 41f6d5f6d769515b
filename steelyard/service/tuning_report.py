"""The report of a search: its tables and its curve, as files in the search's own folder."""

from collections.abc import Iterator

from steelyard.core.reason import reason_of
from steelyard.render.drawing import pictures
from steelyard.render.output import ReportInputs
from steelyard.render.tuning_curve import FIGURE
from steelyard.render.venue import look_of, room_of
from steelyard.service.report_files import formats_of, report_named, write_all
from steelyard.service.tuning import Tuned
from steelyard.tables.table import Table
from steelyard.tables.tuning import tuning_report, tuning_tables


def tables_of(found: Tuned) -> tuple[Table, ...]:
    """See `tuning_tables`."""
    return tuning_tables(found.search, found.trials, found.untuned, found.tuned, found.comparisons, found.latencies)


def tuning_written(found: Tuned) -> Iterator[str]:
    """Write the report in all formats that people read, and tell it in lines. It may fail; what was tried stays."""
    try:
        run_id = found.run.name if found.run is not None else ""
        data = tuning_report(found.search, tables_of(found), found.untuned, tuple(found.latencies), run_id)
        chosen = [report_named(name) for name in formats_of(("all",))]
        inputs = ReportInputs(
            data=data, pictures=pictures((FIGURE,), data, look_of("")), figures_beside=True, room=room_of("")
        )
        yield from write_all(inputs, chosen, found.folder / "report").whole()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is no reason to end a search as if it had failed)
        yield from getattr(error, "lines", ())
        yield f"the report of the search failed: {reason_of(error)}"
