"""The table of launches: their order in time, whatever segment they are of."""

import dataclasses

from steelyard.core.metrics import Reading
from steelyard.sections.noise import launches_table, segments_table
from steelyard.tables.facts import gather
from tests.fakes.runs import llm_points, synthetic_run, with_clock


def test_a_resumed_segment_stands_behind_the_earlier_one_whatever_its_own_cold_round_took():
    run = synthetic_run(
        backends=("eager",), rounds=2, points=llm_points(("decode",)), headline="decode", segments=((0, 1), (2,))
    )
    first, later = run.segments
    early = [record for record in run.launches if record.round < 2]
    cold = [dataclasses.replace(record, launch=f"{record.launch}/again") for record in early if record.round == 0]
    slow = max(record.ended_s for record in early) * 10  # a cold round that takes longer than all of the first segment
    cold = [dataclasses.replace(record, started_s=0.0, ended_s=slow) for record in cold]
    late = [
        dataclasses.replace(record, started_s=slow + number, ended_s=slow + number + 1)
        for number, record in enumerate(record for record in run.launches if record.round == 2)
    ]
    resumed = dataclasses.replace(
        run, launches=(*early, *cold, *late), segments=(first, dataclasses.replace(later, rounds=(0, 2)))
    )
    table = launches_table(gather(resumed))
    started = [(table.cell(row, "round").value, table.cell(row, "started_s").value) for row in table.rows]
    end = max(record.ended_s for record in early)
    assert {value for number, value in started if number == 2} == {end + record.started_s for record in late}


def test_the_clock_stands_beside_the_median_of_each_launch_and_over_the_segment_and_changes_neither():
    run = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), headline="decode")
    facts = gather(with_clock(run, lambda record: 12e6 if record.round == 1 else 9e6))
    table, before = launches_table(facts), launches_table(gather(run))
    assert {(table.cell(row, "round").value, table.cell(row, "clock").value) for row in table.rows} == {
        (1, 1.0), (2, 0.75),
    }  # fmt: skip
    medians, same = ([found.cell(row, "median_s") for row in found.rows] for found in (table, before))
    assert medians == same
    assert {before.cell(row, "clock").text for row in before.rows} == {"not read"}
    (told,) = (segments_table(facts).cell(row, "clock").text for row in segments_table(facts).rows)
    assert told == "25 % slower in the typical launch than in the fastest; 0 % between two launches of a round"


def test_the_speed_of_the_spin_meter_stands_in_the_table_of_noise():
    run = synthetic_run(backends=("eager",), rounds=2, points=llm_points(("decode",)), headline="decode")
    (segment,) = run.segments
    readings = {"spin_hz": Reading(value=13.04e6, unit="Hz"), "spin_hz/cpu0": Reading(value=13.04e6, unit="Hz")}
    noise = dataclasses.replace(segment.noise, readings=readings, evidence=())
    table = segments_table(gather(dataclasses.replace(run, segments=(dataclasses.replace(segment, noise=noise),))))
    assert [table.cell(row, "evidence").text for row in table.rows] == ["spin: 13.0 MHz"]
