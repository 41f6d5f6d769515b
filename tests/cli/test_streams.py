"""Standard streams that are closed, that nobody reads, or that cannot be written to; and no working directory."""

import os
import subprocess
import sys
import time

import pytest

BENCH = (sys.executable, "-m", "steelyard")
MEASURING = """
from steelyard.cli.interruption import ended_only_when_asked
from steelyard.cli.streams import take_over
import sys
take_over()
with ended_only_when_asked():
    sys.stdin.read()
    for line in range(3000):
        print("what standard output is told", line)
        print("what standard error is told", line, file=sys.stderr)
open("stored", "w").write("whole")
sys.exit(3)
"""
SAYING = """
from steelyard.cli import main
from steelyard.service.screen import Screen

def run():
    with Screen(as_json=False) as screen:
        screen.line("lowering")
    open("stored", "w").write("whole")

main.app = run
main.main()
"""
DATA = """
from steelyard.cli.streams import take_over
import sys
take_over()
for line in range(3000):
    print("what standard output is told", line)
sys.stdout.flush()
sys.exit(3)
"""


def shell(text, cwd, *command):
    """`command`, in the place of "$@" of a shell's text."""
    environment = {**os.environ, "STEELYARD_CACHE": str(cwd / "cache")}
    line = ["sh", "-c", text, "sh", *(command or BENCH)]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nowhere(closed, tmp_path):
    done = shell(f'"$@" cache ls {closed}', tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f'"$@" list nothing {closed}', tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_is_stored_does_not_land_where_a_closed_stream_writes(tmp_path):
    """A file would be opened as the number of the closed stream, and told what standard error is told."""
    text = "from steelyard.cli.streams import take_over; take_over(); print(open('file', 'w').fileno() > 2)"
    assert shell('"$@" 2>&- <&-', tmp_path, sys.executable, "-c", text).stdout == "True\n"


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_what_a_run_says_on_a_closed_stream_ends_no_run(closed, tmp_path):
    shell(f'"$@" {closed}', tmp_path, sys.executable, "-c", SAYING)
    assert (tmp_path / "stored").read_text() == "whole"


def test_data_without_a_reader_ends_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*BENCH, "list"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_data_that_cannot_be_written_is_an_error_that_says_so(tmp_path):
    done = shell('"$@" list suites >/dev/full', tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "bench: standard output cannot be written: No space left on device; send it elsewhere\n"
    )  # fmt: skip


def test_an_error_that_nobody_can_see_keeps_its_exit_code(tmp_path):
    assert shell('"$@" list nothing 2>/dev/full', tmp_path).returncode == 2
    assert shell('("$@" list nothing; echo $? >&3) 3>code 2>&1 | true', tmp_path).returncode == 0
    assert (tmp_path / "code").read_text() == "2\n"


@pytest.mark.parametrize("lost", ["stdout", "stderr"])
def test_a_screen_that_goes_away_ends_no_verb_that_measures(lost, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURING],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if lost == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if lost == "stdout" else subprocess.PIPE,
    )
    (process.stdout or process.stderr).close()
    process.stdin.close()
    assert process.wait(60) == 3
    assert (tmp_path / "stored").read_text() == "whole"


def test_a_full_disk_ends_no_verb_that_measures_either_and_is_said(tmp_path):
    done = shell('"$@" >/dev/full </dev/null', tmp_path, sys.executable, "-c", MEASURING)
    assert done.returncode == 3
    assert done.stderr.count("what standard error is told") == 3000
    assert done.stderr.count("No space left on device; what runs goes on, and is stored") == 1


@pytest.mark.parametrize("command", [("-c", MEASURING), ("-c", DATA)])
def test_a_reader_that_is_slow_is_waited_for_where_writing_does_not_block(command, tmp_path):
    """Whoever shares a terminal or pipe may have switched that on, for all that hold it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with (tmp_path / "told").open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=writer, stderr=told
        )
    os.close(writer)
    time.sleep(0.5)
    with open(reader, "rb") as stream:
        assert stream.read().count(b"what standard output is told") == 3000
    assert process.wait(60) == 3
    assert b"Traceback" not in (tmp_path / "told").read_bytes()


def test_without_a_working_directory_it_says_what_is_missing(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    removed = 'cd gone; rmdir ../gone; "$@"'
    assert shell(f"{removed} --version", tmp_path).stdout.startswith("steelyard ")
    gone.mkdir()
    done = shell(f"{removed} list suites", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "bench: the working directory: No such file or directory; change to one that exists (cd)\n"
    )  # fmt: skip
