"""What is written comes back to the last bit, through the journal and through published segments."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.core.errors import StoreError
from steelyard.core.metrics import Reading
from steelyard.core.result import Measurement, OutputCheck, Result
from steelyard.core.run import Noise, Run
from steelyard.store import RunWriter, check_run, create_run, merge, open_run, query, read_run, resume
from tests.fakes.runs import Outcome, llm_points, synthetic_run

NOISE = Noise(grade="B", readings={"steal": Reading(value=0.01, unit="1")}, evidence=("a little steal",))


def write(root: Path, run: Run) -> Path:
    """Store a run in memory segment by segment, as the engine does."""
    path = root / run.manifest.run_id
    for segment in run.segments:
        writer = create_run(root, run.manifest) if segment.index == 0 else resume(path, run.manifest)
        with writer:
            append(writer, run, segment.rounds, segment.started_utc, segment.noise)
            writer.finish(ended=segment.ended, rounds=segment.rounds, supervisor=segment.supervisor)
    return path


def append(writer: RunWriter, run: Run, rounds, started="2026-01-01T00:00:00Z", noise=NOISE) -> None:
    writer.begin_segment(started_utc=started, noise=noise)
    for record in run.launches:
        if record.round in rounds:
            writer.launch(record)
            for result in run.results:
                if result.launch == record.launch:
                    writer.result(result)


@pytest.fixture
def run() -> Run:
    crashed = Outcome(status="crashed", stage="compile", reason="SIGSEGV in compile", log_tail="...\nboom", rounds=(1,))
    return synthetic_run(
        backends=("eager", "xla"), rounds=2, points=llm_points(("decode",)), statuses={("xla", "decode"): crashed}
    )


def test_a_run_comes_back_equal(tmp_path, run):
    assert open_run(write(tmp_path, run)) == run


def test_a_folder_whose_name_is_no_text_holds_runs_like_any_other(tmp_path, run):
    folder = tmp_path / os.fsdecode(b'caf\xe9 "1"')
    path = write(folder, run)
    assert open_run(path) == run
    assert check_run(path) == ()
    assert query(folder, "select count(*) as n from results").rows == ((len(run.results),),)
    answer = query(folder, "select count(*) as n from samples")
    assert answer.rows == ((0,),)
    assert "no text" in answer.left_out[0]
    (merged,) = merge(tmp_path / "there", [folder])
    assert open_run(merged.path) == run


def test_segments_are_appended_and_earlier_files_stay_untouched(tmp_path, run):
    two = synthetic_run(backends=("eager",), rounds=3, points=llm_points(("decode",)), segments=((0, 1), (2, 3)))
    path = write(tmp_path, replace(two, segments=two.segments[:1]))
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with resume(path, two.manifest) as writer:
        append(writer, two, (2, 3), "2026-01-01T01:00:00Z", two.segments[1].noise)
        writer.finish(ended="rounds", rounds=(2, 3), supervisor=two.segments[1].supervisor)
    assert open_run(path) == two
    assert {file: file.read_bytes() for file in before} == before


def test_an_open_journal_reads_the_same_as_its_published_segment(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0, 1, 2))
        before = read_run(writer.path)
        writer.finish(ended="rounds", rounds=(0, 1, 2))
        after = read_run(writer.path)
    assert before.run.results == after.run.results
    assert before.run.launches == after.run.launches
    assert before.run.segments[0].ended == "recovered"
    assert after.run.segments[0].ended == "rounds"
    assert after.notes == ()
    assert not list(writer.path.glob("*.open"))


finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@st.composite
def measurements(draw) -> Measurement:
    samples = tuple(draw(st.lists(st.floats(), max_size=6)))
    starts = tuple(draw(st.lists(finite, min_size=len(samples), max_size=len(samples)))) if draw(st.booleans()) else ()
    return Measurement(
        metric=draw(st.sampled_from(["latency_s", "ttft_s"])),
        layer="bound_wall",
        samples=samples,
        starts_s=starts,
        cut=draw(st.integers(0, 5)),
        steady="flat",
        stop="time",
    )


def bits(values) -> tuple[str, ...]:
    return tuple(float(value).hex() for value in values)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(taken=st.lists(measurements(), max_size=3), note=words, seconds=st.dictionaries(words, finite, max_size=3))
def test_any_result_survives_bit_for_bit(tmp_path_factory, run, taken, note, seconds):
    result = Result(
        case_id="c", arm="eager", round=1, position=0, launch="l", status="ok", stage="check", text=note,
        measurements=tuple(taken), phases=seconds,
    )  # fmt: skip
    with create_run(tmp_path_factory.mktemp("runs"), run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=NOISE)
        writer.result(result)
        (journalled,) = open_run(writer.path).results
        writer.finish(ended="rounds", rounds=())
        (published,) = open_run(writer.path).results
    for got in (journalled, published):
        assert got.text == note
        assert dict(got.phases) == seconds
        assert [(m.metric, m.cut, bits(m.samples), bits(m.starts_s)) for m in got.measurements] == [
            (m.metric, m.cut, bits(m.samples), bits(m.starts_s)) for m in taken
        ]


def test_nan_and_infinite_errors_are_not_lost(tmp_path, run):
    check = OutputCheck(output="y", relative_l2=math.nan, max_abs=math.inf, tolerance=1e-5, passed=False)
    result = next(r for r in run.results if r.correctness is not None)
    result = replace(result, correctness=replace(result.correctness, outputs=(check,)))
    with create_run(tmp_path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=NOISE)
        writer.result(result)
        writer.finish(ended="rounds", rounds=())
    (got,) = open_run(writer.path).results[0].correctness.outputs
    assert math.isnan(got.relative_l2)
    assert got.max_abs == math.inf


def test_samples_are_long_format_zstd(tmp_path, run):
    import pyarrow.parquet as pq

    file = pq.ParquetFile(write(tmp_path, run) / "segment-000" / "samples.parquet")
    assert file.schema_arrow.names == [
        "launch", "case_id", "arm", "round", "metric", "layer", "index", "start_s", "value"
    ]  # fmt: skip
    assert file.metadata.row_group(0).column(8).compression == "ZSTD"
    assert file.metadata.num_rows == sum(len(m.samples) for r in run.results for m in r.measurements)


def test_arrow_reads_and_writes_in_no_thread_of_its_own_which_could_abort_the_process_at_its_end(tmp_path, run):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from steelyard.artifact.anonymous import refuse_names\n"
        "from steelyard.store import check_run, open_run\n"
        "from tests.store.test_store_round_trip import write\n"
        "path = Path(sys.argv[1])\n"
        "run = open_run(path)\n"
        "check_run(write(Path(sys.argv[2]), run))\n"
        "refuse_names({str(file): file for file in path.rglob('*.parquet')})\n"
        "names = [Path(f'/proc/self/task/{task}/comm').read_text().strip() for task in os.listdir('/proc/self/task')]\n"
        "print(len([name for name in names if name != 'jemalloc_bg_thd']))"  # which knows nothing of Python
    )
    command = [sys.executable, "-c", code, str(write(tmp_path / "one", run)), str(tmp_path / "two")]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert int(done.stdout) == 1


@pytest.mark.parametrize("starts", [(0.0,), (0.0, 1.0, 2.0)])
def test_samples_without_as_many_starts_are_refused(tmp_path, run, starts):
    bad = Measurement(
        metric="latency_s", layer="bound_wall", samples=(1.0, 2.0), starts_s=starts, cut=0, steady="flat", stop="time"
    )
    with create_run(tmp_path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=NOISE)
        with pytest.raises(StoreError, match="2 samples but"):
            writer.result(replace(run.results[0], measurements=(bad,)))


def test_two_results_of_one_case_in_one_launch_are_refused(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=NOISE)
        writer.result(run.results[0])
        with pytest.raises(StoreError, match="two results"):
            writer.result(run.results[0])
