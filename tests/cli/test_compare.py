"""`bench compare`: within a run, across runs, and what CI gets as exit code."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.across.prices import parse_prices, price_of
from steelyard.across.report import build_across
from steelyard.cli.main import app
from steelyard.cli.verdicts import exit_code
from steelyard.core.backend import Device
from steelyard.core.comparison import Comparison
from steelyard.core.errors import UsageError
from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.render.output import ReportInputs
from steelyard.service.comparing import comparisons
from steelyard.tables.table import ReportData
from tests.cli.test_show import store
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def stored(root, run_id, **arguments) -> str:
    arguments = {"backends": ("eager", "xla"), "rounds": 8, "headline": "decode"} | arguments
    run = synthetic_run(points=llm_points(("decode",)), **arguments)
    store(root, replace(run, manifest=replace(run.manifest, run_id=run_id)))
    return run_id


@pytest.mark.parametrize(
    ("effect", "fail_on", "code"),
    [
        (1.3, None, 0),
        (1.3, "slower", 1),
        (1.3, "slower,inconclusive", 1),
        (0.5, "slower,inconclusive", 0),
    ],
)
def test_one_run_alone(tmp_path, effect, fail_on, code):
    stored(tmp_path, "a", effect={"xla": effect}, seed=2)
    options = ["--fail-on", fail_on] if fail_on else []
    ended = bench("compare", "a", "--runs", tmp_path, *options)
    assert ended.exit_code == code, ended.output
    assert ("slower" if effect > 1 else "faster") in ended.output


@pytest.mark.parametrize("verb", ["show", "compare"])
def test_a_faster_backend_has_a_speed_up_above_one_and_the_data_its_ratio(tmp_path, verb):
    stored(tmp_path, "a", effect={"xla": 0.5}, seed=2)
    output = bench(verb, "a", "--runs", tmp_path).output
    (line,) = [line for line in output.splitlines() if line.startswith("xla ")]
    value, low, high = map(float, re.search(r"([\d.]+) \[([\d.]+), ([\d.]+)\]\s+faster", line).groups())
    assert low < value < high
    assert value == pytest.approx(2, rel=0.03)
    assert "speed-up" in output
    assert "above 1 is faster" in output
    assert "ratio" not in output
    (item,) = json.loads(bench("compare", "a", "--runs", tmp_path, "--json").output)["comparisons"][:1]
    assert item["ratio"]["value"] == pytest.approx(1 / value, rel=0.01)


def test_too_few_rounds_are_inconclusive(tmp_path):
    stored(tmp_path, "a", effect={"xla": 1.3}, rounds=3)
    assert bench("compare", "a", "--runs", tmp_path, "--fail-on", "slower").exit_code == 0
    ended = bench("compare", "a", "--runs", tmp_path, "--fail-on", "inconclusive")
    assert ended.exit_code == 4
    assert "of 4 rounds" in ended.output


def test_a_run_given_by_two_names_is_refused(tmp_path):
    stored(tmp_path, "new", seed=1)
    stored(tmp_path, "old", seed=2, threads=4)
    ended = bench("compare", "old,latest,o", "new", "--runs", tmp_path)
    assert isinstance(ended.exception, UsageError)
    assert "the run old stands twice on the baseline's side" in str(ended.exception)


def test_two_runs_alone_cannot_tell_faster_from_slower(tmp_path):
    versions = {"xla": {"jax": "0.11.0"}}
    stored(tmp_path, "old", seed=1)
    stored(tmp_path, "new", seed=2, effect={"xla": 0.9}, versions=versions)
    ended = bench("compare", "old", "new", "--runs", tmp_path, "--json")
    assert ended.exit_code == 0, ended.output
    data = json.loads(ended.output)
    assert (data["kind"], data["version"], data["sides"]) == ("steelyard-comparison", 1, [["old"], ["new"]])
    assert data["comparisons"]
    assert {entry["scope"] for entry in data["comparisons"]} == {"across runs"}
    assert not {entry["verdict"] for entry in data["comparisons"]} & {"faster", "slower"}


def test_runs_that_differ_in_nothing_need_a_factor(tmp_path):
    stored(tmp_path, "a", seed=1)
    stored(tmp_path, "b", seed=2)
    with pytest.raises(UsageError, match="Name the factor that is meant"):
        CliRunner().invoke(app, ["compare", "a", "b", "--runs", str(tmp_path)], catch_exceptions=False)
    ended = bench("compare", "a", "b", "--runs", tmp_path, "--factor", "version", "--fail-on", "slower")
    assert ended.exit_code == 0, ended.output
    assert "across runs" in ended.output


def comparison(verdict, factor="backend") -> Comparison:
    return Comparison(
        point="p", title="decode", workload="decode", metric="latency_s", factor=factor, baseline="eager",
        candidate="xla", scope="within run", ratio=None, verdict=verdict, reason="", family="primary",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "wanted", "code"),
    [
        (["faster", "slower", "inconclusive"], ["slower", "inconclusive"], 1),
        (["faster", "withheld"], ["slower", "inconclusive"], 4),
        (["incomparable"], ["inconclusive"], 4),
        (["incomparable", "slower"], ["inconclusive"], 4),
        (["slower"], [], 0),
        (["equivalent", "faster"], ["slower", "inconclusive"], 0),
        ([], ["slower", "inconclusive"], 4),
        ([], ["slower"], 0),
    ],
)
def test_exit_codes(verdicts, wanted, code):
    assert exit_code([comparison(verdict) for verdict in verdicts], wanted) == code


def test_the_control_arm_is_not_a_regression():
    assert exit_code([comparison("slower", "control"), comparison("faster")], ["slower"]) == 0


def test_wrong_usage(tmp_path):
    stored(tmp_path, "a", rounds=1)
    with pytest.raises(UsageError, match="did you mean 'slower'"):
        CliRunner().invoke(app, ["compare", "a", "--runs", str(tmp_path), "--fail-on", "slow"], catch_exceptions=False)
    with pytest.raises(UsageError, match="need another side"):
        CliRunner().invoke(app, ["compare", "a,a", "--runs", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UsageError, match="a side without a run"):
        CliRunner().invoke(app, ["compare", ",", "--runs", str(tmp_path)], catch_exceptions=False)


# Reports of several runs


OTHER = Device(kind="cuda", index=0, name="Big Board 9", memory_bytes=None)
DECODE = llm_points(("decode",))


def across(*sides, prices=(), factor=None) -> ReportData:
    return build_across(sides, comparisons(sides, factor), parse_prices(prices))


def some(first: int, count: int = 1, **how) -> list[Run]:
    settings = {"backends": ("eager", "xla"), "points": DECODE, "headline": "decode", "effect": {"xla": 0.5}, **how}
    return [synthetic_run(seed=first + number, **settings) for number in range(count)]


def value(data: ReportData, table: str, column: str, row: int = 0):
    found = data.table(table)
    return found.cell(found.rows[row], column).value


def why(data: ReportData, table: str, column: str, row: int = 0) -> str:
    """The footnotes of a cell that has no number."""
    found = data.table(table)
    cell = found.cell(found.rows[row], column)
    assert cell.value is None
    return "; ".join(note.text for note in found.footnotes if note.mark in cell.notes)


def test_two_devices_stand_beside_each_other():
    data = across(some(0), some(10, device=OTHER, effect={"eager": 0.1, "xla": 0.05}))
    here, there = "xla | Synthetic CPU 3000", "xla | Big Board 9"
    assert value(data, "across-latency", here) == pytest.approx(0.03, rel=0.05)
    assert value(data, "across-latency", there) == pytest.approx(0.003, rel=0.05)
    assert value(data, "across-chip", there) == pytest.approx(1 / value(data, "across-latency", there))
    assert data.table("across-watt").rows == ()
    assert "no energy was measured" in data.table("across-watt").empty
    assert "no energy counter on this machine" in data.table("across-watt").empty
    assert not [table for table in data.tables if table.name == "across-cost"]
    for table in data.tables:
        if table.place == "main":
            assert "across runs" in table.title
    verdicts = data.table("across-verdicts")
    assert {verdicts.cell(row, "scope").text for row in verdicts.rows} == {"across runs"}
    assert {row.tags["verdict"] for row in verdicts.rows} == {"inconclusive"}  # one run on a side claims nothing
    assert "No side may be called faster or slower below 3 runs" in data.headline[2]


def test_three_runs_on_a_side_may_claim():
    quiet = Shape(spread=0.004, within=0.01, round_spread=0.003)
    data = across(some(0, 3, shape=quiet), some(10, 3, shape=quiet, device=OTHER, effect={"eager": 0.1, "xla": 0.05}))
    assert {row.tags["verdict"] for row in data.table("across-verdicts").rows} == {"faster"}
    assert value(data, "across-verdicts", "speedup") == pytest.approx(10, rel=0.05)
    assert "xla on Big Board 9: faster, speed-up 9.98" in data.headline[1]
    assert "n = 24 launches" in data.table("across-latency").caption


def test_many_comparisons_are_summed_up_by_side_and_verdict():
    quiet = Shape(spread=0.004, within=0.01, round_spread=0.003)
    how = {"shape": quiet, "points": llm_points(("decode",), batches=(1, 8))}
    data = across(some(0, 3, **how), some(10, 3, device=OTHER, **{**how, "effect": {"eager": 0.1, "xla": 0.5}}))
    assert re.fullmatch(
        r"Latency of decode \(2 configurations\) against the same backend on the first side: on Big Board 9 "
        r"faster in 2 of 4 \(speed-up (9\.9|10\.0)\d× to (9\.9|10\.0)\d×\), "
        r"(equivalent|inconclusive) in 2 of 4 \(speed-up [01]\.\d+× to [01]\.\d+×\)\.",
        data.headline[1],
    ), data.headline[1]


def test_costs_come_from_the_prices_given():
    sides = some(0), some(10, device=OTHER, effect={"eager": 0.1, "xla": 0.05})
    data = across(*sides, prices=["Big Board 9=3.6 EUR/hour"])
    latency = value(data, "across-latency", "xla | Big Board 9")
    assert value(data, "across-cost", "xla | Big Board 9") == pytest.approx(3.6 / 3600 * latency * 1e6)
    assert data.table("across-cost").columns[2].unit == "EUR"
    assert why(data, "across-cost", "xla | Synthetic CPU 3000") == "no price was given for Synthetic CPU 3000"
    with pytest.raises(UsageError, match="fits none of the devices: Synthetic CPU 3000, Big Board 9"):
        across(*sides, prices=["Tiny=1/hour"])


def test_energy_is_work_for_a_joule():
    def metered(run: Run) -> Run:
        reading = Reading(value=0.25, unit="J", method="counter")
        results = tuple(replace(item, energy=reading) if item.arm == "xla" else item for item in run.results)
        return replace(run, results=results)

    data = across([metered(run) for run in some(0)], some(10, device=OTHER))
    assert value(data, "across-watt", "xla | Synthetic CPU 3000") == pytest.approx(4.0)  # a token for 0.25 J
    assert "no energy counter" in why(data, "across-watt", "eager | Synthetic CPU 3000")
    assert "no energy counter" in why(data, "across-watt", "xla | Big Board 9")


def test_versions_and_budgets_name_what_differs():
    data = across(some(0), some(10, versions={"xla": {"jax": "0.11.0"}}))
    (first, *_) = data.table("across-versions").rows
    assert [cell.text for cell in first.cells] == ["jax", "0.10.2", "0.11.0", "differs"]
    data = across(some(0), some(10, threads=4), some(20, threads=8))
    (first, *_) = data.table("across-budgets").rows
    assert [cell.text for cell in first.cells] == ["threads", "2", "4", "8", "differs"]
    assert "xla | threads=8" in [column.key for column in data.table("across-latency").columns]


def test_unlike_work_has_no_number_and_the_difference_is_named():
    data = across(some(0), some(10, device=OTHER, identity={"weights": "other"}))
    assert value(data, "across-latency", "xla | Synthetic CPU 3000") is not None
    told = "Big Board 9 did other work than Synthetic CPU 3000: the identity differs in weights"
    assert why(data, "across-latency", "xla | Big Board 9") == told
    assert {row.tags["verdict"] for row in data.table("across-verdicts").rows} == {"incomparable"}
    assert "refused: the identity differs in weights" in data.headline[2]


def test_missing_cells_say_why():
    crash = {("xla", "decode"): Outcome(status="crashed", stage="load", reason="signal 11")}
    points, backends = llm_points(("decode", "prefill")), ("eager", "xla", "inductor")
    more = some(10, device=OTHER, points=points, statuses=crash, backends=backends)
    data = across(some(0), more)
    here = "Synthetic CPU 3000"
    assert "xla: crashed in 9 of 9 launches: signal 11" in why(data, "across-latency", "xla | Big Board 9")
    assert why(data, "across-latency", f"inductor | {here}") == f"inductor was not run on {here}"
    assert why(data, "across-latency", f"xla | {here}", 1) == f"not among the configurations of {here}"
    assert value(data, "across-latency", "xla | Big Board 9", 1) is not None


def test_the_comparison_is_written_as_a_report(tmp_path):
    stored(tmp_path, "old", seed=1, effect={"xla": 0.5})
    stored(tmp_path, "new", seed=2, effect={"xla": 0.4}, device=OTHER)
    out = tmp_path / "out"
    ended = bench("compare", "old", "new", "--runs", tmp_path, "--report", out, "--price", "Board=1 USD/hour")
    assert ended.exit_code == 0, ended.output
    assert "Cost of a million items" in ended.output
    for name in (
        "report.md",
        "report.html",
        "csv/across-cost.csv",
        "latex/report.tex",
        "latex/tables/across-latency.tex",
    ):
        assert (out / name).stat().st_size, name
    text = (out / "report.md").read_text()
    assert "across runs" in text
    assert "USD" in text
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    bench("compare", "old", "new", "--runs", tmp_path, "--report", out, "--price", "Board=1 USD/hour")
    assert first == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_report_beside_json_leaves_stdout_to_the_data(tmp_path):
    stored(tmp_path, "old", seed=1)
    stored(tmp_path, "new", seed=2, device=OTHER)
    arguments = ["--runs", tmp_path, "--json", "--report", tmp_path / "out", "--format", "markdown"]
    ended = bench("compare", "old", "new", *arguments)
    assert json.loads(ended.stdout)["kind"] == "steelyard-comparison"
    assert "report.md" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--report", "out"], "of one run alone write bench report RUN"),
        (["a", "b", "--format", "markdown"], "say where with --report DIR"),
        (["a", "b", "--report", "out", "--format", "figures"], "the format figures is of one run"),
        (["a", "b", "--report", "out", "--format", "junit"], "the format junit is of one run"),
        (["a", "b", "--report", "out", "--format", "latx"], "did you mean 'latex'"),
        (["a", "b", "--json", "--price", "x=1/hour"], "--json has no costs"),
    ],
)
def test_wrong_usage_of_reports(arguments, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(app, ["compare", *arguments, "--runs", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("H100=2.99 USD/hour", ("H100", 2.99, "USD")),
        ("H100 = $2.99/h", ("H100", 2.99, "$")),
        ("H100=3/hour", ("H100", 3.0, "")),
        ("Ryzen 9 = 0.05 €/hour", ("Ryzen 9", 0.05, "€")),
    ],
)
def test_prices(text, found):
    (price,) = parse_prices([text])
    assert (price.device, price.per_hour, price.currency) == found


@pytest.mark.parametrize(
    "text", ["H100", "H100=/hour", "H100=3", "H100=3 USD/day", "H100=$3 USD/hour", "=3/hour", "H100=-1/hour"]
)
def test_what_is_no_price_is_told(text):
    with pytest.raises(UsageError, match="is not of the form DEVICE=AMOUNT/hour"):
        parse_prices([text])


def test_prices_from_a_file(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text('currency = "USD"\n[per_hour]\n"Board 9" = 2\nH100 = 2.99\n')
    prices = parse_prices([str(path)])
    assert price_of(prices, "Big Board 9").per_hour == 2.0
    assert price_of(prices, "A100") is None
    assert price_of(parse_prices(["A100=1/hour", "A100 80GB=2/hour"]), "a100").per_hour == 1.0
    with pytest.raises(UsageError, match="both fit the device"):
        price_of(parse_prices(["A100=1/hour", "80GB=2/hour"]), "NVIDIA A100 80GB")
    with pytest.raises(UsageError, match=r"several currencies \(EUR, USD\)"):
        parse_prices([str(path), "X=1 EUR/hour"])
    path.write_text('[per_hour]\nH100 = "many"\n')
    with pytest.raises(UsageError, match="is not an amount: many"):
        parse_prices([str(path)])
    path.write_text("H100 = 3\n")
    with pytest.raises(UsageError, match="write currency"):
        parse_prices([str(path)])


def test_a_wrong_answer_in_one_run_takes_the_side_its_number():
    wrong = {("xla", "decode"): Outcome(status="incorrect", reason="NaN", rounds=(4,))}
    data = across(some(0), [*some(10, 2, device=OTHER), *some(12, device=OTHER, statuses=wrong)])
    assert "xla: incorrect in 1 of 9 launches: NaN" in why(data, "across-latency", "xla | Big Board 9")


def test_another_backend_is_named_with_what_it_is_held_against():
    data = across(some(0), some(10, backends=("eager", "openvino"), effect={"openvino": 0.4}))
    verdicts = data.table("across-verdicts")
    (row,) = verdicts.rows
    assert [verdicts.cell(row, key).text for key in ("backend", "side", "baseline")] == ["openvino", "B", "xla"]
    assert why(data, "across-latency", "openvino | A") == "openvino was not run on A"


def test_names_of_backends_and_devices_are_only_text(tmp_path):
    hostile = replace(OTHER, name="<script>alert(1)</script> | x")
    found = comparisons([some(0), some(10, device=hostile)])
    data = build_across([some(0), some(10, device=hostile)], found)
    for name in ("html", "markdown", "latex", "csv"):
        for path in plugins.reports()[name].write(ReportInputs(data=data), tmp_path):
            assert path.suffix == ".csv" or "<script>alert" not in path.read_text()
