"""From synthetic runs with known truth to the rows that a report prints."""

import dataclasses
import re

import pytest

from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.tables.build import build
from steelyard.tables.table import ReportData, Row, Table
from tests.fakes.runs import Outcome, llm_points, synthetic_run

TRUTH = {"inductor": 1.0, "xla": 0.6, "onnxruntime": 0.4, "openvino": 0.4}


@pytest.fixture(scope="module")
def data() -> ReportData:
    return build(synthetic_run(effect=TRUTH, rounds=12))


@pytest.fixture(scope="module")
def failed() -> ReportData:
    statuses = {
        ("openvino", "decode"): Outcome(
            status="crashed", reason="killed by signal 11", log_tail="a\nSegmentation fault"
        ),
        ("xla", "prefill"): Outcome(status="incorrect", stage="check", reason="logits are off"),
        ("inductor", "generate"): Outcome(status="timed_out", stage="compile", reason="after 600 s", rounds=(2,)),
        ("onnxruntime", "generate"): Outcome(status="fallback", stage="check", reason="ran on another device"),
    }
    return build(synthetic_run(effect=TRUTH, rounds=12, statuses=statuses))


def row(table: Table, arm: str, **tags: str) -> Row:
    found = [item for item in table.rows if item.tags.get("arm") == arm and tags.items() <= item.tags.items()]
    assert len(found) == 1, [item.tags for item in found]
    return found[0]


def notes(table: Table, cells) -> str:
    marks = {mark for cell in cells for mark in cell.notes}
    return "; ".join(note.text for note in table.footnotes if note.mark in marks)


def test_the_headline_workload_comes_first(data):
    assert [table.name for table in data.speed_tables()] == ["speed-generate", "speed-prefill", "speed-decode"]


def test_speed_rows_carry_the_truth_in_base_units(data):
    table = data.table("speed-decode")
    base, fast = row(table, "eager"), row(table, "xla")
    assert table.cell(base, "latency_s").value == pytest.approx(0.06, rel=0.03)
    assert table.cell(fast, "speedup").value == pytest.approx(1 / 0.6, rel=0.02)
    interval = table.cell(fast, "speedup").interval
    assert interval.low < table.cell(fast, "speedup").value < interval.high
    assert table.cell(fast, "verdict").text == "faster"
    assert table.cell(base, "verdict").text == "baseline"
    latency = table.cell(fast, "latency_s").value
    assert table.cell(fast, "throughput").value == pytest.approx(1 / latency)


def test_bold_only_where_intervals_separate():
    apart = build(synthetic_run(effect={"xla": 0.5, "onnxruntime": 0.4}, backends=("eager", "xla", "onnxruntime")))
    flags = {
        r.tags["arm"]: apart.table("speed-generate").cell(r, "latency_s").flags
        for r in apart.table("speed-generate").rows
    }
    assert flags == {"eager": ("baseline",), "xla": (), "onnxruntime": ("best",)}


def test_an_undecided_backend_far_behind_takes_nobodys_bold_away():
    made = build(synthetic_run(effect={"inductor": 1.02, "xla": 0.5}, backends=("eager", "inductor", "xla"), rounds=9))
    table = made.table("speed-generate")
    assert table.cell(row(table, "inductor"), "verdict").text == "inconclusive"
    assert "best" in table.cell(row(table, "xla"), "latency_s").flags


def test_a_fast_backend_without_a_verdict_leaves_nobody_in_bold():
    statuses = {("xla", "generate"): Outcome(status="crashed", reason="now and then", rounds=(1, 2, 3, 4, 5))}
    made = build(
        synthetic_run(effect={"xla": 0.5, "openvino": 0.5}, backends=("eager", "xla", "openvino"), statuses=statuses)
    )
    table = made.table("speed-generate")
    assert not {flag for r in table.rows for cell in r.cells for flag in cell.flags} & {"best", "tied"}


def test_ties_share_the_bold(data):
    table = data.table("speed-generate")
    flags = {r.tags["arm"]: table.cell(r, "latency_s").flags for r in table.rows}
    assert flags["onnxruntime"] == flags["openvino"] == ("tied",)
    assert flags["xla"] == flags["inductor"] == ()
    assert any("their intervals overlap" in note for note in table.notes)


@pytest.mark.parametrize(
    "options",
    [{"grade": "F", "evidence": ("steal 12 %",)}, {"rounds": 3}, {"control": False}, {"effect": {}}],
    ids=["withheld", "quick", "no control arm", "no difference"],
)
def test_nothing_is_bold_without_a_verdict(options):
    made = build(synthetic_run(**{"effect": TRUTH, **options}))
    for table in made.speed_tables():
        assert not {flag for r in table.rows for cell in r.cells for flag in cell.flags} & {"best", "tied"}


def test_withheld_verdicts_say_so_with_the_evidence():
    made = build(synthetic_run(effect=TRUTH, grade="F", evidence=("steal 12 %",)))
    table = made.table("speed-generate")
    cell = table.cell(row(table, "xla"), "verdict")
    assert cell.text == "withheld"
    assert "steal 12 %" in notes(table, [cell])
    assert "withheld because the machine was too noisy" in made.headline[-1]


def test_a_wrong_answer_or_a_fallback_has_no_speed(failed):
    for name, arm, status in (("speed-prefill", "xla", "incorrect"), ("speed-generate", "onnxruntime", "fallback")):
        table = failed.table(name)
        found = row(table, arm)
        for key in ("latency_s", "throughput", "speedup"):
            assert table.cell(found, key).value is None
        assert table.cell(found, "verdict").text == status
        assert status in notes(table, found.cells)


def test_a_failure_in_some_launches_keeps_the_number_with_a_footnote(failed):
    table = failed.table("speed-generate")
    cell = table.cell(row(table, "inductor"), "latency_s")
    assert cell.value is not None
    assert "timed out at compile in 1 of 13 launches: after 600 s" in notes(table, [cell])


def test_no_table_prints_a_zero_for_what_failed(failed):
    for table in failed.speed_tables():
        for found in table.rows:
            assert table.cell(found, "latency_s").value != 0


def test_coverage_lists_everything_planned_and_left_out(failed):
    table = failed.table("coverage")
    crashed = row(table, "openvino", workload="decode")
    assert table.cell(crashed, "status").text == "crashed"
    assert table.cell(crashed, "reason").text == "killed by signal 11"
    assert "Segmentation fault" in notes(table, crashed.cells)
    left = row(table, "tensorrt")
    assert table.cell(left, "status").text == "unsupported"
    assert table.cell(left, "reason").text == "no CUDA device"
    assert len(table.rows) == 5 * 3 + 1


def test_every_main_table_states_its_conditions(data):
    for table in data.tables:
        if table.place != "main" or not table.rows:
            continue
        assert re.search(r"\bn [=≥] \d", table.caption), table.name
        assert "launches" in table.caption
        assert "interval" in table.caption
        for words in ("Synthetic CPU 3000", "Hodges-Lehmann", "torch 2.13.0", "tuning default"):
            assert words in table.conditions, (table.name, words)


def test_what_all_tables_share_is_said_once(data):
    told = " ".join(data.conditions)
    for words in ("Synthetic CPU 3000", "Hodges-Lehmann", "torch 2.13.0", "Tuning: default", "kv_cache=in place"):
        assert words in told, words
    for table in data.tables:
        assert not set(data.conditions) & set(table.notes), table.name
        assert data.device not in table.caption, table.name


def test_the_mean_over_all_workloads_says_which_and_why_not_others(data, failed):
    table = data.table("overall")
    found = table.cell(row(table, "xla"), "speedup")
    assert found.value == pytest.approx(1 / 0.6, rel=0.02)
    assert found.interval.low < found.value < found.interval.high
    assert table.cell(row(table, "xla"), "points").value == 3
    assert table.notes[0] == "The same configurations for every backend: generate, prefill, decode."
    table = failed.table("overall")
    assert table.rows == ()
    assert "all backends completed 0 of 3 configurations" in table.empty
    assert "openvino: crashed in 13 of 13 launches: killed by signal 11" in table.empty


def test_a_run_of_one_point_has_no_mean():
    made = build(synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode"))
    assert "overall" not in [table.name for table in made.tables]


def test_percentiles_and_effective_samples_say_what_is_missing(data):
    table = data.table("spread")
    found = row(table, "xla", workload="decode")
    assert table.cell(found, "p90").interval is not None
    assert table.cell(found, "p99").value is None
    assert notes(table, [table.cell(found, "p99")]) == "p99 needs 1000 samples in all"
    assert 0.6 < table.cell(found, "effective").value / table.cell(found, "samples").value <= 1


def test_energy_gives_the_reason_where_there_is_no_meter(data):
    table = data.table("energy")
    assert table.rows == ()
    assert "no energy counter on this machine" in table.empty


def test_energy_is_shown_where_it_was_measured():
    run = with_energy(synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode"))
    table = build(run).table("energy")
    assert {r.tags["arm"]: table.cell(r, "energy_j").value for r in table.rows}["xla"] == pytest.approx(0.5)


def with_energy(run: Run) -> Run:
    reading = Reading(value=0.5, unit="J", method="a counter")
    return dataclasses.replace(run, results=tuple(dataclasses.replace(r, energy=reading) for r in run.results))


def test_start_up_keeps_cold_and_warm_apart(data):
    table = data.table("startup")
    cold = [table.cell(r, "compile_s_cold") for r in table.rows if r.tags["arm"] == "inductor"]
    warm = [table.cell(r, "compile_s_warm") for r in table.rows if r.tags["arm"] == "inductor"]
    known = [cell.value for cell in cold if cell.value is not None]
    assert len(known) == 1
    assert known[0] == pytest.approx(43, rel=0.2)
    assert all(cell.interval is None for cell in cold)
    assert all(cell.value == pytest.approx(12, rel=0.2) for cell in warm if cell.value is not None)


def test_memory_names_what_no_backend_could_tell(data):
    table = data.table("memory")
    assert any("no device memory apart from the host's" in note for note in table.notes)
    assert any("Host peak: VmHWM" in note for note in table.notes), "the method stands below the numbers"


def test_memory_has_a_row_for_each_quantity_and_a_column_for_each_phase(data):
    table = data.table("memory")
    peak = row(table, "eager", workload="prefill", metric="host_peak_bytes")
    known = {phase: table.cell(peak, phase).value for phase in ("import", "load", "compile", "steady")}
    assert known["import"] < known["load"] < known["compile"]
    assert known["steady"] < known["compile"], "the phases are apart"


def test_planned_memory_and_the_kv_cache_stand_apart_from_what_was_measured(data):
    table = data.table("memory-plan")
    planned = table.cell(row(table, "eager", workload="prefill"), "planned_bytes/compile")
    assert planned.value is None
    assert "eager does not tell what it planned" in notes(table, [planned])
    decode = row(table, "xla", workload="decode")
    assert table.cell(decode, "planned_bytes/compile").value == 5.6e8
    assert table.cell(decode, "kv_cache_bytes").value == 3 * 512 * 64 * 4, "one sequence, three heads, float32"
    assert not any("planned" in column.key for column in data.table("memory").columns)


def test_correctness_shows_error_and_tolerance(failed):
    table = failed.table("correctness")
    good, bad = row(table, "eager", workload="decode"), row(table, "xla", workload="prefill")
    assert table.cell(good, "relative_l2").value == 2e-6
    assert table.cell(good, "tolerance").value == 2e-5
    assert "failed in" in table.cell(bad, "verdict").text
    assert "logits are off" in notes(table, bad.cells)


def test_the_launch_table_holds_every_launch_of_every_metric(data):
    table = data.table("launches")
    warm = [r for r in table.rows if table.cell(r, "round").value > 0]
    assert len(warm) == 12 * 6 * 5  # rounds, arms with control, metrics of three workloads
    assert all(table.cell(r, "median_s").value > 0 for r in warm)
    assert table.place == "data"


def test_headline_sentences_agree_with_the_table(data):
    from steelyard.tables.format import shown

    table = data.table("speed-generate")
    position = table.index("speedup")
    for arm in ("xla", "onnxruntime"):
        printed = shown(row(table, arm).cells[position], table.columns[position]).main
        assert f"{arm} is faster, speed-up {printed}×" in data.headline[0]


@pytest.mark.parametrize("why", ["precision", "rounds", "time", "interrupted", "recovered"])
def test_the_methodology_says_in_words_why_measuring_ended(why):
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode")
    segments = tuple(dataclasses.replace(segment, ended=why) for segment in run.segments)
    method = next(each for each in build(dataclasses.replace(run, segments=segments)).paragraphs if each.cited)
    (sentence,) = (each for each in method.sentences if each.startswith("Measuring ended "))
    assert len(sentence.split()) > 5, sentence


def test_macros_agree_with_the_table(data):
    from steelyard.tables.format import shown

    found = {macro.name: macro.text for macro in data.macros}
    table = data.table("speed-decode")
    position = table.index("speedup")
    printed = shown(row(table, "xla").cells[position], table.columns[position])
    assert found["SyXlaDecodeSpeedup"] == printed.main
    assert f"[{found['SyXlaDecodeSpeedupLow']}, {found['SyXlaDecodeSpeedupHigh']}]" == printed.interval
    assert found["SyXlaDecodeVerdict"] == "faster"
    assert found["SyEagerDecodeSpeedup"] == "1"


def test_macros_of_a_failure_say_so(failed):
    found = {macro.name: macro.text for macro in failed.macros}
    assert found["SyOpenvinoDecodeLatency"] == "not measured"
    assert found["SyOpenvinoDecodeVerdict"] == "crashed"


def macro_names(*backends):
    run = synthetic_run(backends=("eager", *backends), points=llm_points(("decode",)), headline="decode")
    return {macro.name: macro for macro in build(run).macros}, build(run).macros


def test_macro_names_never_fall_together():
    found, every = macro_names("a-b", "a_b", "日本", "中文")
    assert len(found) == len(every)
    assert all(name.isascii() and name.isalpha() for name in found)


def about(macro):
    """The quantity and the backend; the level of an interval hangs on the rank of its verdict."""
    return macro.meaning.partition(",")[0]


def test_a_macro_never_comes_to_mean_another_backend():
    alone, _ = macro_names("a-b")
    assert "of a-b" in alone["SyABDecodeSpeedup"].meaning
    both, _ = macro_names("a-b", "a_b")
    assert "SyABDecodeSpeedup" not in both  # a paper that used it stops, and is not told the other's number
    turned, _ = macro_names("a_b", "a-b")
    assert {name: about(macro) for name, macro in turned.items()} == {
        name: about(macro) for name, macro in both.items()
    }
    third, _ = macro_names("other", "a_b", "a-b")
    assert set(both) < set(third)
    (name,) = (name for name, macro in both.items() if macro.meaning == "speed-up of a-b, decode")
    assert re.fullmatch(r"SyABDecode[A-P][a-p]{2}Speedup", name)


def test_axes_that_vary_become_columns_and_the_rest_goes_into_the_caption():
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",), batches=(1, 8)), headline="decode")
    table = build(run).table("speed-decode")
    assert table.columns[0].key == "axis_batch"
    assert [r.cells[0].text for r in table.rows] == ["1", "1", "8", "8"]
    assert "batch=" not in table.caption
    assert "model=smollm2" in table.caption


def test_a_run_in_which_everything_failed_still_gives_a_report():
    statuses = {
        (arm, "decode"): Outcome(status="failed", stage="load", reason="no memory")
        for arm in ("eager", "xla", "eager (control)")
    }
    made = build(
        synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", statuses=statuses)
    )
    assert "gave no time" in made.headline[0]
    assert made.table("startup").rows == ()
    assert made.table("startup").empty


def test_resumed_runs_keep_their_time_order():
    run = synthetic_run(
        backends=("eager", "xla"),
        points=llm_points(("decode",)),
        headline="decode",
        segments=((0, 1, 2, 3), (4, 5, 6, 7, 8)),
    )
    # Each segment's clock begins at zero.
    begin = min(record.started_s for record in run.launches if record.round == 4)
    run = dataclasses.replace(
        run,
        launches=tuple(
            record
            if record.round < 4
            else dataclasses.replace(record, started_s=record.started_s - begin, ended_s=record.ended_s - begin)
            for record in run.launches
        ),
    )
    table = build(run).table("launches")
    started = {table.cell(r, "round").value: table.cell(r, "started_s").value for r in table.rows}
    assert [number for number, _ in sorted(started.items(), key=lambda item: item[1])] == sorted(started)


def test_a_memory_cap_is_told_wherever_the_budget_is():
    run = synthetic_run(rounds=3, backends=("eager", "xla"))
    budget = dataclasses.replace(run.manifest.budget, memory_cap_bytes=2 << 30, memory_cap_by="rlimit")
    capped = build(dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, budget=budget)))
    told = [sentence for paragraph in capped.paragraphs for sentence in paragraph.sentences]
    assert any("at most 2.00 GiB of memory, kept by rlimit" in sentence for sentence in told)
    cells = [cell.text for row in capped.table("plan").rows for cell in row.cells]
    assert "2 GiB by rlimit" in cells
