"""The table of energy: joules with intervals where a meter was read, the reason where none was, and no zero ever."""

import csv
import dataclasses
import re

import pytest

from steelyard import plugins
from steelyard.analysis.energy_comparisons import compare_energy
from steelyard.core.metrics import Reading, absent
from steelyard.render.drawing import picture
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.format import without_code
from tests.fakes.metered import IDLE_W, WATTS, estimated_run, metered_run
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

NO_METER = "no_device: no powercap on this virtual machine"


def small(**options):
    return synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", **options)


def unmetered():
    run = small()
    return dataclasses.replace(
        run, results=tuple(dataclasses.replace(result, energy=absent("J", NO_METER)) for result in run.results)
    )


def row_of(table, arm):
    return next(row for row in table.rows if row.tags["arm"] == arm)


def test_joules_of_a_call_and_of_a_token_have_intervals_and_net_lies_below_gross():
    run = metered_run(synthetic_run(backends=("eager", "xla"), points=llm_points(("generate",))))
    facts = gather(run)
    table = build(run).table("energy")
    for arm in ("eager", "xla"):
        gross, net, item = (
            table.cell(row_of(table, arm), key) for key in ("energy_j", "energy_net_j", "energy_of_item_j")
        )
        seconds = facts.estimate(next(a for a in facts.arms if a.label == arm), facts.points[0], "latency_s").value
        assert gross.value == pytest.approx(WATTS * seconds, rel=0.02)
        assert net.value == pytest.approx((WATTS - IDLE_W) * seconds, rel=0.02)
        assert item.value == pytest.approx(gross.value / facts.points[0].work.items)
        for cell in (gross, net, item):
            assert cell.interval.low < cell.value < cell.interval.high
    assert table.cell(row_of(table, "eager"), "item").text == "token"


def test_less_energy_is_a_verdict_of_paired_rounds_and_its_own_family():
    run = metered_run(small(rounds=12, effect={"xla": 1.0}), watts={"xla": 0.8 * WATTS})
    by_arm = {item.candidate: item for item in compare_energy(run)}
    xla = by_arm["xla"]
    assert (xla.metric, xla.family, xla.verdict) == ("energy_j", "exploratory", "faster")
    assert xla.ratio.value == pytest.approx(0.8, rel=0.03)
    assert xla.ratio.interval.low < xla.ratio.value < xla.ratio.interval.high
    assert by_arm["eager (control)"].verdict in ("equivalent", "inconclusive")
    table = build(run).table("energy")
    assert table.cell(row_of(table, "xla"), "verdict").text == "less"
    assert table.cell(row_of(table, "eager"), "verdict").text == "baseline"


def test_launches_without_a_steady_state_have_no_verdict_on_energy_either():
    unsteady = Shape(overrides={("xla", "decode"): "slowed"})
    run = metered_run(small(rounds=12, shape=unsteady), watts={"xla": 0.5 * WATTS})
    xla = next(item for item in compare_energy(run) if item.candidate == "xla")
    assert (xla.verdict, xla.evidence["unsteady_share"]) == ("inconclusive", 1.0)
    assert "xla: 12 of 12 launches not steady (12 slowed)" in xla.reason
    assert xla.ratio.value < 0.5


def test_energy_of_calls_at_unlike_layers_is_incomparable():
    run = metered_run(small(rounds=10))
    results = [
        dataclasses.replace(r, measurements=tuple(dataclasses.replace(m, layer="api_wall") for m in r.measurements))
        if r.arm == "xla"
        else r
        for r in run.results
    ]
    found = compare_energy(dataclasses.replace(run, results=tuple(results)))
    xla = next(item for item in found if item.candidate == "xla")
    assert (xla.verdict, xla.ratio) == ("incomparable", None)
    assert xla.reason == "the layers differ: bound_wall for eager, api_wall for xla"


def test_the_control_arm_says_what_failed_and_how_likely_it_is_by_chance():
    crashed = {("eager (control)", "decode"): Outcome(status="crashed", stage="steady", reason="signal 9", rounds=(2,))}
    run = metered_run(small(rounds=12, statuses=crashed))
    control = next(item for item in compare_energy(run) if item.candidate == "eager (control)")
    assert control.reason.endswith("; eager (control): crashed in 1 of 13 launches: signal 9")
    assert 0 < control.p_value <= 1


def test_times_are_judged_as_if_no_meter_were_there():
    run = small(rounds=10)
    assert gather(metered_run(run)).comparisons == gather(run).comparisons


def test_unlike_meters_are_incomparable():
    run = metered_run(small(rounds=10))
    wall = [
        dataclasses.replace(r, energy=Reading(value=r.energy.value, unit="J", method="integrated_samples, wall"))
        if r.arm == "xla" and r.energy.value
        else r
        for r in run.results
    ]
    run = dataclasses.replace(run, results=tuple(wall))
    comparison = next(item for item in compare_energy(run) if item.candidate == "xla")
    assert comparison.verdict == "incomparable"
    assert comparison.ratio is None
    assert "the meters differ: eager: measured_counter, package-0; xla: integrated_samples, wall" in comparison.reason


def test_what_does_not_exceed_idle_by_more_than_its_uncertainty_is_no_number():
    table = build(metered_run(small(), watts={"xla": IDLE_W + 0.1, "eager": IDLE_W - 0.1})).table("energy")
    for arm in ("eager", "xla"):
        cell = table.cell(row_of(table, arm), "energy_net_j")
        assert cell.value is None
        assert cell.notes
        assert table.cell(row_of(table, arm), "energy_j").value > 0
    assert any("does not exceed idle by more than its uncertainty" in note.text for note in table.footnotes)


def test_a_wrong_answer_has_no_energy():
    run = metered_run(small(statuses={("xla", "decode"): Outcome(status="incorrect", stage="check")}))
    table = build(run).table("energy")
    assert table.cell(row_of(table, "xla"), "energy_j").value is None
    assert table.cell(row_of(table, "eager"), "energy_j").value is not None


def test_an_estimate_stands_alone_labelled_and_is_compared_with_nothing():
    table = build(estimated_run(small())).table("energy")
    row = row_of(table, "xla")
    assert table.columns[table.index("estimated_j")].title == "Estimated, not measured"
    assert table.cell(row, "estimated_j").value == pytest.approx(1.25)
    assert table.cell(row, "energy_j").value is None
    assert (table.cell(row, "energy_ratio").value, table.cell(row, "verdict").text) == (None, "not compared")
    assert compare_energy(estimated_run(small())) == ()
    assert "no measurement" in table.caption
    with pytest.raises(Exception, match="estimated_j"):
        build(metered_run(small())).table("energy").index("estimated_j")


def test_without_a_meter_every_report_says_unavailable_and_no_zero_joule_anywhere(tmp_path):
    data = build(unmetered())
    assert data.table("energy").empty == "Energy: unavailable: no powercap on this virtual machine"
    assert data.table("energy").rows == ()
    inputs = ReportInputs(data=data)
    texts = {}
    reports = plugins.reports()
    for name in ("markdown", "latex", "html", "csv"):
        folder = tmp_path / name
        folder.mkdir()
        for path in reports[name].write(inputs, folder):
            if path.suffix in (".md", ".tex", ".html", ".csv", ".json"):
                texts[path.name] = path.read_text()
    for name, text in texts.items():
        assert not re.search(r"(?<![\d.])0(\.0+)?\s*(&nbsp;|~|\\,)?\s*(J|mJ|W)\b", text), name
        if name.endswith(".csv"):
            for line in csv.reader(text.splitlines()):
                assert not any(cell.strip() in ("0", "0.0") and "energy" in ",".join(line) for cell in line), name
    for name in ("md", "html", "tex"):
        assert any("no powercap on this virtual machine" in t for n, t in texts.items() if n.endswith(name)), name


@pytest.mark.parametrize("name", ["energy", "power"])
def test_the_figures_draw_what_was_metered_or_say_why_not(name):
    figure = plugins.figures()[name]
    drawn = picture(figure, build(metered_run(small())))
    assert not drawn.reason
    assert drawn.png
    header, *rows = drawn.csv.strip().splitlines()
    assert rows
    assert "energy_j" in header or "power_w" in header
    absent_ = picture(figure, build(unmetered()))
    assert absent_.reason
    assert not absent_.png


def test_the_code_of_a_reason_is_for_programs_and_printed_to_nobody():
    assert without_code(NO_METER) == "no powercap on this virtual machine"
    assert without_code("Permission denied: energy_uj") == "Permission denied: energy_uj"
    threats = next(paragraph for paragraph in build(unmetered()).paragraphs if paragraph.name == "threats")
    assert "Energy was not measured (no powercap on this virtual machine), so" in " ".join(threats.sentences)
