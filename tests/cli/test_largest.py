"""`bench run --largest` through real launches of a backend whose memory is known, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard import wire
from steelyard.cli.main import app
from steelyard.core.errors import SteelyardError
from steelyard.core.largest import Attempt, Largest, LargestRow
from steelyard.selftest.backends import MEBI, PATH
from steelyard.store import list_runs, open_run
from steelyard.tables.largest import largest_report, largest_table

EACH, CAP = 160, 560
"""MiB a row holds, and the limit: two rows fit beside an interpreter with numpy, four do not, three do or do not."""


def bench(*arguments: str):
    return CliRunner().invoke(app, ["run", *arguments])


def asked(output: Path, *more: str) -> tuple[str, ...]:
    backend = f"{PATH}[each={EACH}]"
    return (
        *("--suite", "steelyard.selftest.suite:SUITE", "--backend", backend, "--device", "cpu", "--threads", "1"),
        *("--largest", "batch", "--memory-cap", f"{CAP}MiB", "--output", str(output), *more),
    )


def test_the_largest_batch_under_a_cap_is_bracketed_stored_and_gone_on_with(tmp_path: Path) -> None:
    first = bench(*asked(tmp_path, "--attempts", "2", "--no-report", "--json"))
    assert first.exit_code == 0, first.output
    (bounded,) = json.loads(first.stdout)["largest"]["rows"]
    assert bounded["ended"] == "the bound of 2 attempts is reached"
    assert [attempt["status"] for attempt in bounded["attempts"]] == ["ok", "ok"]
    assert first.stderr.count("completes, host peak") == 2

    done = bench(*asked(tmp_path))
    assert done.exit_code == 0, done.output
    assert "machine noise" not in done.output, "nothing is timed"
    assert "out_of_memory at first_run" in done.output
    folder = tmp_path / "largest" / "selftest-batch"
    (row,) = wire.read(folder / "largest.json", Largest).rows
    assert [attempt.run for attempt in row.attempts[:2]] == [attempt["run"] for attempt in bounded["attempts"]]
    assert row.completes is not None
    assert row.fails is not None
    assert row.fails.value - row.completes.value == 1
    assert row.fails.status == "out_of_memory"
    # A row's own memory is known; the interpreter, numpy and the input are the rest, some tens of MiB.
    assert EACH * row.completes.value < CAP < EACH * row.fails.value + 160
    assert row.completes.peak_bytes["host_peak_bytes"] > EACH * row.completes.value * MEBI
    stored = {entry.path.name: open_run(entry.path) for entry in list_runs(folder)}
    assert {attempt.run for attempt in row.attempts} == set(stored), "every attempt is a stored run"
    for attempt in row.attempts:
        (result,) = stored[attempt.run].results
        assert result.status == attempt.status
        assert result.details.memory_cap.bytes == CAP * MEBI
    assert "out of memory at first run" in (folder / "report" / "report.md").read_text()
    reason = row.fails.reason.splitlines()[0]
    assert "[a]" in done.stdout.partition("Attempts")[2].partition("The largest batch")[0], "marks stand in the cells"
    assert f"[a] {row.backend}, {row.workload}: {reason}" in done.stdout
    assert f"memory cap: {CAP} MiB by " in done.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--largest", "batch"), "needs a limit"),
        (("--largest", "depth", "--memory-cap", "1GiB"), "unknown quantity"),
        (("--largest", "batch", "--memory-cap", "1GiB", "--quick"), "times nothing"),
        (("--attempts", "3"), "goes with --largest"),
        (("--memory-cap", "0"), "no memory at all"),
        (("--memory-cap", "2 loaves"), "not a size"),
        (("--resume", "latest", "--memory-cap", "1GiB"), "goes on with the plan of the stored run"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    done = bench("--device", "cpu", "--backend", "eager", "--output", str(tmp_path), *options)
    assert isinstance(done.exception, SteelyardError), done.output
    assert told in str(done.exception)
    assert done.exception.exit_code == 2


def test_what_all_rows_have_in_common_stands_in_the_caption_and_not_in_each_row() -> None:
    def at(point: str) -> LargestRow:
        done = Attempt(value=4, status="ok", stage="check", peak_bytes={"host_peak_bytes": 5.0 * MEBI})
        return LargestRow(workload=point.split()[0], point=point, backend="eager", attempts=(done,), ended="time")

    points = ("prefill model=a size=tiny prompt=16", "decode model=a size=tiny position=32")
    found = Largest(
        suite="s", quantity="batch", meaning="rows", device="a CPU", memory_cap="none", tool_version="0",
        created_utc="2026-01-01T00:00:00Z", rows=tuple(map(at, points)),
    )  # fmt: skip
    table = largest_table(found)
    assert [table.cell(row, "point").text for row in table.rows] == ["prefill prompt=16", "decode position=32"]
    assert table.caption.endswith("In all rows: model=a, size=tiny.")
    assert "no host peak" not in " ".join(note.text for note in table.footnotes), "a note that no cell has"
    assert largest_report(found).headline[0] == "eager, prefill prompt=16: batch=4."


def test_the_table_gives_a_reason_for_every_end_that_is_not_there() -> None:
    def row(backend: str, *attempts: tuple[int, str], ended: str = "") -> LargestRow:
        made = tuple(Attempt(value=v, status=s, stage="first_run", reason="no more") for v, s in attempts)  # type: ignore[arg-type]
        return LargestRow(workload="w", point="w", backend=backend, attempts=made, ended=ended)

    table = largest_table(
        Largest(
            suite="s",
            quantity="batch",
            meaning="rows",
            device="a CPU",
            memory_cap="1 B by rlimit",
            created_utc="2026-01-01T00:00:00Z",
            tool_version="0",
            rows=(
                row("both", (1, "ok"), (2, "out_of_memory")),
                row("none", (1, "crashed")),
                row("open", (1, "ok"), (2, "ok"), ended="the time given is used up"),
            ),
        )
    )
    notes = " ".join(note.text for note in table.footnotes)
    both, none, still = table.rows
    assert (table.cell(both, "completes").value, table.cell(both, "fails").value) == (1, 2)
    assert "no host peak was read" in notes
    assert table.cell(both, "how").text == "out of memory at first run"
    assert table.cell(none, "completes").value is None
    assert "no value completed in 1 attempt" in notes
    assert table.cell(still, "fails").value is None
    assert "no value failed: the time given is used up" in notes
