"""Pages for the tests of the HTML report, each made once: a small one, one with every section, and a large one."""

from dataclasses import replace
from functools import cache

from steelyard.reports.html import page

from steelyard import plugins
from steelyard.core.backend import Device
from steelyard.core.comparison import Interval
from steelyard.core.run import Run
from steelyard.render.drawing import pictures
from steelyard.render.output import ReportInputs
from steelyard.tables.build import lay_out
from steelyard.tables.case_details import cases
from steelyard.tables.facts import gather
from steelyard.tables.table import Cell, Row, Table
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.runs import Outcome, llm_points, synthetic_run

FEW = ("eager", "xla", "onnxruntime")
MANY = 10_000
KILLED = Outcome(status="out_of_memory", reason="killed by the kernel", log_tail="first line\nlast <line>")


def inputs_of(run: Run, *figures: str) -> ReportInputs:
    """What the report is given of a run, with the figures that are named."""
    facts = gather(run)
    data = lay_out(facts)
    drawn = pictures([plugins.figures()[name] for name in figures], data)
    return ReportInputs(data=data, pictures=drawn, cases=cases(facts))


@cache
def small() -> str:
    """Five backends and three workloads; openvino is killed on one of them."""
    run = synthetic_run(effect={"xla": 0.5, "onnxruntime": 0.4}, statuses={("openvino", "generate"): KILLED})
    return page(inputs_of(run, "coverage", "latency"))


@cache
def every_section() -> str:
    """One workload on a metered accelerator with ceilings: xla lies above one, openvino is killed."""
    run = synthetic_run(
        backends=(*FEW, "openvino"),
        points=llm_points(("decode",)),
        headline="decode",
        effect={"xla": 0.1, "onnxruntime": 0.9},
        statuses={("openvino", "decode"): KILLED},
        device=Device(kind="cuda", index=0, name="Synthetic GPU 9", memory_bytes=80 << 30),
    )
    return page(inputs_of(held_against(metered_run(run, estimate=True), synthetic_ceilings(), counted={"torch": 1.4})))


@cache
def large() -> str:
    """One table of ten thousand cases, as a sweep over batches gives it; case number n takes (n * 7919 % 10007) ms."""
    inputs = inputs_of(synthetic_run(backends=FEW, rounds=8))
    (first, *rest) = inputs.data.tables
    rows = tuple(_row(first, first.rows[1], number) for number in range(MANY))
    tables = (replace(first, rows=(*first.rows[:1], *rows[1:]), footnotes=first.footnotes), *rest)
    return page(replace(inputs, data=replace(inputs.data, tables=tables)))


def milliseconds(number: int) -> int:
    """The latency of case `number` of the large page."""
    return number * 7919 % 10007


def _row(table: Table, row: Row, number: int) -> Row:
    seconds = milliseconds(number) / 1e3
    cells = list(row.cells)
    cells[table.index("backend")] = Cell(text=f"backend-{number}")
    around = Interval(low=0.99 * seconds, high=1.01 * seconds, confidence=0.95)
    cells[table.index("latency_s")] = Cell(value=seconds, interval=around)
    cells[table.index("verdict")] = Cell(text="faster" if number % 2 else "slower")
    tags = {**row.tags, "arm": f"backend-{number}", "point": f"decode batch={number}"}
    return Row(cells=tuple(cells), tags=tags)
