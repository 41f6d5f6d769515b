"""Killed writers, torn lines, full disks, two writers: nothing that was measured is lost."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from steelyard.core.errors import StoreError
from steelyard.store import create_run, open_run, read_run, resume, segments
from steelyard.store.journal import Journal
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import append, write


@pytest.fixture
def run():
    return synthetic_run(backends=("eager", "xla"), rounds=3, points=llm_points(("decode",)))


def journal_of(path):
    return path / "segment-000.open" / "journal.jsonl"


def test_a_writer_killed_in_the_middle_of_a_line_loses_no_finished_launch(tmp_path):
    """A real process, SIGKILL, and half a line: what was appended before is all there, whole rounds only count."""
    child = textwrap.dedent(
        """
        import os, signal, sys
        from tests.fakes.runs import llm_points, synthetic_run
        from tests.store.test_store_round_trip import append
        from pathlib import Path
        from steelyard.store import create_run
        run = synthetic_run(backends=("eager", "xla"), rounds=3, points=llm_points(("decode",)))
        writer = create_run(Path(sys.argv[1]), run.manifest)
        append(writer, run, (0, 1))
        for record in run.launches:
            if record.round == 2 and record.position == 0:
                writer.launch(record)
                writer.result(next(r for r in run.results if r.launch == record.launch))
        os.write(writer._journal._descriptor, b'{"event":"result","value":{"case_id":"ab')
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    path = [str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    stored = read_run(tmp_path / "synthetic-0000")
    assert [segment.ended for segment in stored.run.segments] == ["recovered"]
    assert stored.run.segments[0].rounds == (0, 1)
    assert sorted({result.round for result in stored.run.results}) == [0, 1, 2]
    assert len(stored.run.results) == 3 + 3 + 1
    assert any("torn" in note for note in stored.notes)
    with resume(stored.path) as writer:  # the kernel dropped the dead writer's lock
        writer.begin_segment(started_utc="2026-01-02T00:00:00Z", noise=stored.run.segments[0].noise)
        writer.finish(ended="rounds", rounds=(3,))
    again = open_run(stored.path)
    assert again.results == stored.run.results
    assert [segment.ended for segment in again.segments] == ["recovered", "rounds"]


def test_the_last_round_counts_when_nothing_of_it_is_missing(run):
    results = [result for result in run.results if result.round <= 2]
    assert segments.whole_rounds(results) == [0, 1, 2]
    assert segments.whole_rounds(results[:-1]) == [0, 1]
    assert segments.whole_rounds(results[:2]) == []


def test_damage_before_the_last_line_is_named(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0,))
    lines = journal_of(writer.path).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][: len(lines[2]) // 2] + b"\n"
    journal_of(writer.path).write_bytes(b"".join(lines))
    with pytest.raises(StoreError, match=r"journal\.jsonl, line 3"):
        open_run(writer.path)


def test_a_writer_killed_before_its_header_leaves_a_readable_run(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0,))
    journal_of(writer.path).write_bytes(b'{"event":"seg')
    assert read_run(writer.path).run.segments == ()
    with resume(writer.path, run.manifest) as writer:
        assert writer.begin_segment(started_utc="2026-01-02T00:00:00Z", noise=run.segments[0].noise) == 1


def test_a_crash_between_publishing_and_removing_the_journal_counts_once(tmp_path, run, monkeypatch):
    monkeypatch.setattr(segments, "discard_open", lambda run, index: None)
    path = write(tmp_path, run)
    monkeypatch.undo()
    assert journal_of(path).exists()
    assert open_run(path) == run
    resume(path).close()
    assert not journal_of(path).exists()
    assert open_run(path) == run


def test_a_crash_while_building_leaves_the_journal(tmp_path, run, monkeypatch):
    def broken(built, final):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = create_run(tmp_path, run.manifest)
    append(writer, run, (0, 1, 2, 3))
    monkeypatch.setattr(segments, "publish", broken)
    with pytest.raises(StoreError, match=r"No space left on device; everything measured is in .*journal\.jsonl"):
        writer.finish(ended="precision", rounds=(0, 1, 2, 3))
    writer.close()
    monkeypatch.undo()
    assert [path.name for path in writer.path.glob(".segment*")] == []
    assert open_run(writer.path).results == run.results
    resume(writer.path).close()
    assert open_run(writer.path).segments[0].ended == "precision"


def test_a_full_disk_leaves_whole_lines_and_says_so(tmp_path, run, monkeypatch):
    writer = create_run(tmp_path, run.manifest)
    append(writer, run, (0,))
    kept = read_run(writer.path).run.results
    real = os.write

    def full(descriptor, data):
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(data[:10]))

    later = next(result for result in run.results if result.round == 1)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match=r"No space left on device; the \d+ lines before it are safe"):
        writer.result(later)
    monkeypatch.undo()
    stored = read_run(writer.path)
    assert stored.run.results == kept
    assert not any("torn" in note for note in stored.notes)
    writer.result(replace_launch(later))
    assert len(open_run(writer.path).results) == len(kept) + 1


def replace_launch(result):
    from dataclasses import replace

    return replace(result, launch="again")


def test_a_really_full_device(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.fail("/dev/full is part of Linux")
    journal = Journal(tmp_path / "journal.jsonl")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)
    with pytest.raises(StoreError, match=r"journal\.jsonl: cannot be written"):
        journal.append("result", {"x": 1})


def test_two_writers_cannot_open_one_run(tmp_path, run):
    path = write(tmp_path, run)
    first = resume(path)
    with pytest.raises(StoreError, match="another process is writing here"):
        resume(path)
    child = "import sys; from pathlib import Path; from steelyard.store import resume; resume(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", child, str(path)], capture_output=True, text=True, check=False)
    assert "another process is writing here" in done.stderr
    first.close()
    resume(path).close()


def test_a_new_run_is_locked_from_the_start(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer, pytest.raises(StoreError, match="another process"):
        resume(writer.path)


def test_an_unwritable_place_is_named(tmp_path, run):
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    with pytest.raises(StoreError, match=r"file.*cannot be written: (Not a directory|File exists)"):
        create_run(blocker / "runs", run.manifest)


def test_an_existing_run_is_not_overwritten(tmp_path, run):
    path = write(tmp_path, run)
    with pytest.raises(StoreError, match="exists already"):
        create_run(tmp_path, run.manifest)
    assert open_run(path) == run


def test_nothing_can_be_added_to_a_finished_segment(tmp_path, run):
    with create_run(tmp_path, run.manifest) as writer:
        append(writer, run, (0,))
        writer.finish(ended="rounds", rounds=(0,))
        with pytest.raises(StoreError, match="no segment is open"):
            writer.launch(run.launches[0])
