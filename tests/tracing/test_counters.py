"""The table of counters: ratios of what was counted, and a reason for what was not."""

from dataclasses import replace

import pytest

from steelyard.core.metrics import Reading, absent
from steelyard.tables.table import Table
from steelyard.tracing.counters import counters_table
from tests.tracing.test_difference import facts, traced

COUNTED = {
    "instructions": 4e6, "cycles": 2e6, "branch_misses": 8e3, "l1d_load_misses": 4e4, "cache_misses": 2e3,
    "dtlb_load_misses": 400.0, "fp_scalar": 10.0, "fp_128": 0.0, "fp_256": 30.0, "fp_512": 60.0, "page_faults": 3.0,
}  # fmt: skip
PMU = {name: Reading(value=value, unit="1") for name, value in COUNTED.items()}
KERNEL = {"cpu_time": Reading(value=0.002, unit="s")}


def table(*launches: dict[str, Reading], arm: str = "eager") -> Table:
    return counters_table([traced([replace(facts({"matmul": 0.5}), counters=each) for each in launches], arm)])


def values(found: Table) -> dict[str, float | None]:
    (row,) = found.rows
    return {column.key: cell.value for column, cell in zip(found.columns, row.cells, strict=True)}


def test_misses_are_of_a_thousand_instructions_and_widths_are_shares():
    found = values(table(PMU | KERNEL))
    assert found["per_cycle"] == pytest.approx(2)
    assert found["branch_misses"] == pytest.approx(2)
    assert found["l1d_load_misses"] == pytest.approx(10)
    assert found["cache_misses"] == pytest.approx(0.5)
    assert found["dtlb_load_misses"] == pytest.approx(0.1)
    assert [found[name] for name in ("fp_scalar", "fp_128", "fp_256", "fp_512")] == [10, 0, 30, 60]
    assert (found["cpu_time"], found["page_faults"]) == (0.002, 3)


def test_several_launches_have_the_median():
    three = [PMU | {"page_faults": Reading(value=value, unit="1")} for value in (1.0, 2.0, 90.0)]
    assert values(table(*three))["page_faults"] == 2


def test_what_no_backend_has_is_a_note_with_the_reason():
    nothing = {name: absent("1", "no_event: the CPU offers no such counter") for name in COUNTED}
    found = table(nothing | KERNEL)
    assert [column.key for column in found.columns] == ["point", "backend", "cpu_time"]
    assert any("Instructions" in note and note.endswith(": the CPU offers no such counter") for note in found.notes)


def test_a_share_of_nothing_and_a_run_without_counters_are_told():
    zeros = {name: Reading(value=0.0, unit="1") for name in COUNTED}
    assert any("stands at 0" in note for note in table(zeros).notes)
    assert not table({}).rows
