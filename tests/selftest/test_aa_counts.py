"""Counting A/A comparisons: known tables, algebra, and whole synthetic runs in which the truth is known."""

import dataclasses
import math
import platform
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import wire
from steelyard.core.aa_counts import AaCounts
from steelyard.core.case import Arm
from steelyard.core.run import Run
from steelyard.hardware import kept_aa_counts as kept
from steelyard.hardware.machine import machine_key
from steelyard.selftest.aa import AaOutcome, outcomes, summarise, tally
from steelyard.selftest.campaign import WINDOW_S
from steelyard.service import manifest
from steelyard.tables.aa_words import differences, sentence
from steelyard.tables.build import build
from steelyard.tables.table import Cell, Table
from tests.fakes.runs import Shape, synthetic_run

VERDICTS = ("faster", "slower", "equivalent", "inconclusive", "withheld")


def outcome(run: str = "r", guarded: str = "inconclusive", free: str = "inconclusive", **more) -> AaOutcome:
    fields = {"backend": "b", "alone": False, "needed": 0.1, "missed": False, "usable": True, **more}
    return AaOutcome(run=run, guarded=guarded, free=free, **fields)


def aa_run(number: int, **options) -> Run:
    """Two A/A arms against `eager`: the synthetic truth of each arm is `effect` by label, 1 unless told."""
    labels = ("eager", "xla", "openvino")
    run = synthetic_run(
        backends=labels,
        effect={"eager": 1.0, **options.pop("effect", {})},
        seed=number,
        shape=options.pop("shape", Shape(spread=0.002)),
        **options,
    )
    names = {"xla": "eager (A/A 1)", "openvino": "eager (A/A 2)"}
    eager = run.manifest.arms[0].backend
    ids = {case.point.key: case.id for case in run.manifest.cases if case.backend.text == "eager"}
    points = {case.id: case.point.key for case in run.manifest.cases}
    arms: Sequence[Arm] = [
        dataclasses.replace(arm, label=names[arm.label], backend=eager, sham=True) if arm.label in names else arm
        for arm in run.manifest.arms
    ]
    return dataclasses.replace(
        run,
        manifest=dataclasses.replace(
            run.manifest,
            run_id=f"run-{number}",
            arms=tuple(arms),
            cases=tuple(case for case in run.manifest.cases if case.backend.text == "eager"),
            plan={**run.manifest.plan, "window_s": WINDOW_S},
        ),
        launches=tuple(dataclasses.replace(r, arm=names.get(r.arm, r.arm)) for r in run.launches),
        results=tuple(
            dataclasses.replace(r, arm=names.get(r.arm, r.arm), case_id=ids[points[r.case_id]]) for r in run.results
        ),
    )


def carrying(run: Run, **fields) -> Run:
    """The run with these fields of its manifest."""
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, **fields))


def column(table: Table, key: str) -> list[Cell]:
    place = [entry.key for entry in table.columns].index(key)
    return [row.cells[place] for row in table.rows]


def counted(*runs: Run) -> AaCounts:
    return summarise(runs, condition="quiet", planned=10)


def test_a_known_table_is_counted_as_it_is() -> None:
    found = [
        outcome("a", "faster", "faster", alone=True, missed=True),
        outcome("a", "inconclusive", "inconclusive", alone=True, missed=True),
        outcome("a", "equivalent", "equivalent"),
        outcome("b", "withheld", "slower", alone=True, missed=True),
        outcome("b", "withheld", "equivalent", missed=None),
        outcome("b", "incomparable", "incomparable", usable=False, missed=None),
    ]
    row = tally("b", found)
    assert (row.runs, row.comparisons, row.unusable) == (2, 5, 1)
    assert (row.false_alarms, row.guarded_false_alarms, row.withheld) == (2, 1, 2)
    assert (row.equivalent, row.inconclusive) == (1, 1)
    assert (row.alone, row.missed, row.intervals, row.alarmed_runs) == (3, 3, 4, 1)
    assert (row.rates["alarmed_runs"].count, row.rates["alarmed_runs"].of) == (1, 2)


@pytest.mark.parametrize(
    ("needed", "expected"),
    [([0.1, 0.3, 0.2], 0.2), ([0.1, 0.3, math.inf], 0.3), ([0.1, math.inf, math.inf], None), ([], None)],
)
def test_detectable_is_what_half_of_the_comparisons_would_have_called(needed, expected) -> None:
    assert tally("b", [outcome(needed=value) for value in needed]).detectable == expected


@pytest.mark.parametrize("seed", range(1, 4))
def test_an_aa_arm_slower_by_a_little_more_than_is_detectable_is_called_and_one_by_less_is_not(seed: int) -> None:
    noisy = {"shape": Shape(spread=0.06)}  # so that the interval weighs as much as what it must lie beyond
    reach = counted(aa_run(seed, **noisy)).all.detectable
    assert reach is not None
    for factor, called in ((1.2, True), (0.8, False)):
        effect = 1 + factor * reach
        row = counted(aa_run(seed, effect={"xla": effect, "openvino": effect}, **noisy)).all
        assert (row.alone > row.comparisons / 2) is called


@given(
    st.lists(
        st.builds(
            outcome,
            run=st.sampled_from("abcde"),
            guarded=st.sampled_from(VERDICTS),
            free=st.sampled_from(VERDICTS[:4]),
            alone=st.booleans(),
            missed=st.sampled_from([True, False, None]),
            usable=st.booleans(),
        )
    )
)
def test_counts_are_sums_over_runs_and_rates_hold_their_shares(found: list[AaOutcome]) -> None:
    row = tally("all", found)
    parts = [tally("all", [item for item in found if item.run == name]) for name in {item.run for item in found}]
    for name in ("comparisons", "false_alarms", "guarded_false_alarms", "withheld", "alone", "missed", "alarmed_runs"):
        assert getattr(row, name) == sum(getattr(part, name) for part in parts)
    assert row.comparisons + row.unusable == len(found)
    for rate in row.rates.values():
        assert 0 <= rate.count <= rate.of
        assert (rate.interval is None) == (rate.of == 0)
        if rate.interval is not None:
            assert rate.interval.low <= rate.count / rate.of <= rate.interval.high


def test_every_aa_comparison_is_an_outcome_and_the_control_arm_is_none() -> None:
    run = aa_run(1)
    found = outcomes(run)
    assert len(found) == 2 * 5  # prefill, decode, and three metrics of generate, for each A/A arm
    assert {item.backend for item in found} == {"eager"}


def test_an_aa_arm_that_really_is_slower_is_counted_as_a_false_alarm() -> None:
    """The counting must see alarms: an arm that is 30 % slower under an A/A arm's label gives five of them."""
    row = counted(aa_run(1, effect={"xla": 1.3, "openvino": 1.0}), aa_run(2, effect={"xla": 1.0, "openvino": 1.0})).all
    assert row.false_alarms >= 5
    assert row.guarded_false_alarms == row.false_alarms
    assert row.alone >= row.false_alarms
    assert row.alarmed_runs == 1


def test_alone_too_a_claim_on_unsteady_launches_must_hold_at_every_level() -> None:
    unsteady = Shape(spread=0.003, within=0.01, steady="slowed", drift=0.4)
    row = counted(aa_run(1, effect={"xla": 1.15, "openvino": 1.0}, shape=unsteady)).all
    assert (row.false_alarms, row.alone) == (0, 0)
    assert row.missed >= 5


def test_at_grade_f_the_guard_withholds_and_without_it_the_alarms_are_seen() -> None:
    slow = aa_run(1, effect={"xla": 1.3, "openvino": 1.0}, grade="F", evidence=("F: too loud",))
    counts = counted(slow)
    assert counts.all.withheld == counts.all.comparisons
    assert counts.all.guarded_false_alarms == 0
    assert counts.all.false_alarms >= 5
    assert counts.grades == {"F": 1}


def test_rounds_marked_as_contaminated_count_again_without_the_guard() -> None:
    """With them left out three rounds remain, which are too few for any verdict."""
    run = aa_run(1, effect={"xla": 1.3, "openvino": 1.0})
    warm = run.segments[0].rounds[1:]
    segment = dataclasses.replace(run.segments[0], disturbed=dict.fromkeys(warm[:-3], "a background load"))
    row = counted(dataclasses.replace(run, segments=(segment,))).all
    assert row.guarded_false_alarms == 0
    assert row.false_alarms >= 5


def test_the_summary_says_rows_versions_and_survives_storing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    run = aa_run(1)
    counts = counted(run)
    assert [row.backend for row in counts.rows] == ["eager"]
    assert counts.rows[0].comparisons == counts.all.comparisons == 10
    path = kept.keep(counts)
    assert wire.read(path, AaCounts) == counts
    assert kept.newest(run.manifest.environment, turns=False) == counts
    assert kept.newest(run.manifest.environment, turns=True) is None, "the other protocol was not counted"
    together = dataclasses.replace(counts, protocol="in turns in 2 groups")
    kept.keep(together)
    assert kept.newest(run.manifest.environment, turns=True) == together
    larger = counted(run, aa_run(2))
    kept.keep(larger)
    kept.keep(counts)  # of the same versions, and smaller
    assert kept.newest(run.manifest.environment, turns=False) == larger
    kept.keep(dataclasses.replace(counts, versions={"onnxruntime": "9"}))
    assert kept.newest(run.manifest.environment, turns=False).all.comparisons == 10
    other = {**run.manifest.environment, "cpu": {"model": "another"}}
    assert kept.newest(other, turns=False) is None
    assert machine_key(other) != counts.machine_key
    with pytest.raises(ValueError, match="no run"):
        counted()


def test_the_report_says_the_rate_and_what_has_changed_since(tmp_path) -> None:
    run = aa_run(1)
    counts = dataclasses.replace(counted(run), versions={"onnxruntime": "1.31.0"})
    environment = {**run.manifest.environment, "packages": {"onnxruntime": "1.32.0"}}
    data = build(carrying(run, calibration=counts, environment=environment))
    (method,) = [paragraph for paragraph in data.paragraphs if paragraph.name == "methodology"]
    assert sentence(counts) in method.sentences
    assert f"{counts.all.guarded_false_alarms} of 10 gave a false verdict" in sentence(counts)
    assert any("onnxruntime 1.31.0 -> 1.32.0" in text for text in method.sentences)
    assert differences(counts, {"onnxruntime": "1.31.0"}) == ()
    (table,) = [table for table in data.tables if table.name == "aa-comparisons"]
    assert [row.cells[0].text for row in table.rows] == ["eager", "all"]
    reach = counts.all.detectable
    assert [cell.value for cell in column(table, "detectable")] == [reach] * 2
    assert f"a difference of {100 * reach:.1f} % would have been called in half of them" in sentence(counts)


def test_counts_of_before_that_do_not_say_what_is_detectable_are_shown_without_it() -> None:
    run = aa_run(1)
    counts = counted(run)
    old = dataclasses.replace(counts, rows=(), all=dataclasses.replace(counts.all, detectable=None))
    (table,) = [table for table in build(carrying(run, calibration=old)).tables if table.name == "aa-comparisons"]
    assert [cell.text for cell in column(table, "detectable")] == ["not known"]
    assert "would have been called" not in sentence(old)


def test_without_counts_the_report_names_the_command() -> None:
    data = build(synthetic_run())
    (method,) = [paragraph for paragraph in data.paragraphs if paragraph.name == "methodology"]
    assert any("was not measured: bench selftest --aa" in text for text in method.sentences)
    (table,) = [table for table in data.tables if table.name == "aa-comparisons"]
    assert not table.rows
    assert "bench selftest --aa" in table.empty


def test_counts_say_which_protocol_made_them_and_how_long_it_took() -> None:
    run = aa_run(1)
    apart = counted(run)
    assert apart.protocol == "one after the other"
    assert "on this machine, launches one after the other: " in sentence(apart)
    in_turns = dataclasses.replace(
        run, launches=tuple(dataclasses.replace(each, stopped_s=1.0 if each.round else None) for each in run.launches)
    )
    assert counted(in_turns).protocol == "in turns"
    assert counted(in_turns, aa_run(2)).protocol == "in turns and one after the other"
    spans = [each.ended_s for each in run.launches], [each.started_s for each in run.launches]
    assert apart.wall_s == pytest.approx(max(spans[0]) - min(spans[1]))
    assert counted(run, aa_run(2)).wall_s > apart.wall_s
    old = dataclasses.replace(apart, protocol="", condition="switching")
    assert "on this machine beside a background load on one core that switches on and off: " in sentence(old)


def test_the_stored_form_holds_no_name_of_this_machine() -> None:
    assert platform.node() not in wire.encode(counted(aa_run(1))).decode()


def test_a_damaged_file_of_counts_is_named_and_stops_no_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    run = aa_run(1)
    path = kept.keep(counted(run))
    path.write_text("{")
    told: list[str] = []
    assert manifest._aa_counts(run.manifest.environment, told.append, turns=False) is None
    assert str(path) in told[0]
    assert "bench selftest --aa" in told[0]
