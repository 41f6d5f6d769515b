"""The page of `bench show` in terminals of all kinds: golden files, hostile names, a real terminal, a real pager.

    STEELYARD_GOLDEN=write .venv/bin/pytest tests/cli/test_terminal.py    # after a change that is meant

Look at the difference before it is committed.
"""

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.cli.output import print_json, print_table
from steelyard.cli.shown import lines_of
from steelyard.cli.terminal import Terminal, cells, degrade, folded, padded
from steelyard.core.run import LeftOut
from steelyard.store import StoredRun
from steelyard.tables.facts import gather
from tests.analysis.test_contaminated import beside_others, two_models
from tests.cli.test_show import store
from tests.fakes.runs import Outcome, llm_points, synthetic_run

GOLDEN = Path(__file__).parent / "golden"
ANSI = re.compile(r"\x1b\[\d+m")


def page(run, terminal: Terminal) -> str:
    stored = StoredRun(path=Path(), run=run, notes=("segment 1 was not finished",))
    return "".join(f"{line}\n" for line in lines_of(stored, gather(run), terminal))


def mixed():
    """Two points of decode and a prefill; one backend crashed, one failed now and then, one is hardly slower."""
    crashed = Outcome(status="crashed", stage="compile", reason="killed by signal 11 (SIGSEGV)")
    wrong = Outcome(status="incorrect", stage="check", reason="logits are off by 0.3")
    once = Outcome(status="timed_out", stage="steady", reason="no answer within 600 s", rounds=(3,))
    return synthetic_run(
        backends=("eager", "inductor", "xla", "onnxruntime", "openvino"),
        points=llm_points(("prefill", "decode"), batches=(1, 8)),
        effect={"inductor": 0.83, "xla": 1.4, "onnxruntime": 1.02, "openvino": 0.5},
        statuses={("openvino", "decode"): crashed, ("xla", "prefill"): wrong, ("inductor", "decode"): once},
        headline="decode",
        rounds=9,
        seed=11,
    )


def many(count: int):
    names = ("eager", "xla", *(f"my.long_module_name.of_a_compiler{n}:Runner[level={n},mode=max]" for n in range(20)))
    return synthetic_run(backends=names[:count], points=llm_points(("decode",)), headline="decode", rounds=8, seed=4)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("kind", ["plain", "colour", "ascii"])
def test_the_page_is_that_of_the_golden_file(width, kind):
    terminal = Terminal(width=width, colour=kind == "colour", unicode=kind != "ascii")
    text = page(mixed(), terminal)
    golden = GOLDEN / f"show-{width}-{kind}.txt"
    if os.environ.get("STEELYARD_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("count", [2, 5, 12])
def test_every_line_fits_and_no_name_is_cut(width, count):
    run = many(count)
    lines = page(run, Terminal(width=width)).splitlines()
    assert max(map(cells, lines)) <= width
    joined = "".join(line.split("  ")[0].strip() for line in lines)
    for arm in run.manifest.arms:
        assert arm.label.replace(" ", "") in joined.replace(" ", "")


def test_colour_repeats_what_words_say():
    run = mixed()
    plain = page(run, Terminal())
    coloured = page(run, Terminal(colour=True))
    assert ANSI.sub("", coloured) == plain
    for word, code in (("faster", 32), ("slower", 31), ("equivalent", 36), ("crashed", 31), ("inconclusive", 33)):
        assert f"\x1b[{code}m{word}\x1b[0m" in coloured or word not in plain.split()
    assert "\x1b[32mfaster" in coloured
    assert "faster !" in plain  # one of its launches failed, and the remark says so
    assert "inductor: timed out at steady in 1 of 10 launches: no answer within 600 s" in plain


def test_the_headline_stands_first_and_wrong_answers_have_no_speed():
    text = page(mixed(), Terminal())
    assert text.index("decode batch=1: latency") < text.index("decode batch=8: latency") < text.index("prefill batch=1")
    (row,) = [line for line in text[text.index("prefill batch=1") :].splitlines() if line.startswith("xla")][:1]
    assert row.split() == ["xla", "–", "incorrect"]


def test_stored_text_cannot_move_the_cursor_nor_turn_the_line():
    run = mixed()
    evil = LeftOut(backend="\x1b[31mevil", reason="\x1b]0;t\x07 \u202egnp.exe \r\n second line 漢字")
    run = replace(run, manifest=replace(run.manifest, left_out=(evil,)))
    for terminal in (Terminal(), Terminal(unicode=False)):
        text = page(run, terminal)
        assert not set("\x1b\x07\r\u202e") & set(text)
    assert text.isascii()


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Mn", "Me", "Mc")), max_size=60),
    st.integers(2, 30),
)
def test_folding_loses_nothing_and_fits(text, width):
    lines = folded(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cells(line) <= width for line in lines)
    assert all(cells(padded(line, width)) == width for line in lines)


@given(st.floats(0.001, 1), st.floats(1, 2), st.integers(1, 60), st.booleans())
def test_a_bar_fits_and_grows_with_its_value(value, more, room, unicode):
    terminal = Terminal(unicode=unicode)
    short, long = terminal.bar(value, value, 2.0, room), terminal.bar(value * more, value * more, 2.0, room)
    assert 1 <= len(short) <= len(long) <= room
    assert terminal.bar(2.0, 2.0, 2.0, room) == ("█" if unicode else "#") * room
    assert terminal.bar(0.0, 0.0, 2.0, room) == ""


def in_a_terminal(arguments, root, **environment) -> str:
    """What `bench show` writes to a real terminal of 100 columns and 30 lines."""
    import fcntl
    import struct
    import termios

    main, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "PAGER", "LESS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "steelyard", "show", "latest", "--runs", str(root), *arguments],
        stdin=child, stdout=child, stderr=child, env={**inherited, "TERM": "xterm", **environment}, close_fds=True,
    )  # fmt: skip
    os.close(child)
    found, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([main], [], [], 0.2)
        if ready:
            try:
                part = os.read(main, 65536)
            except OSError:
                break
            if not part:
                break
            found += part
    os.close(main)
    assert process.wait(10) == 0
    return found.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    store(path, mixed())
    return path


def test_a_real_terminal_gets_colour_its_width_and_its_pager(root):
    pager = f"{sys.executable} -c \"import sys; t = sys.stdin.read(); print('PAGED', t.count(chr(10))); print(t)\""
    text = in_a_terminal([], root, PAGER=pager)
    assert text.startswith("PAGED")
    assert "\x1b[32mfaster\x1b[0m" in text
    assert 80 < max(cells(ANSI.sub("", line)) for line in text.splitlines()) <= 100


def test_without_a_pager_colour_or_a_clever_terminal(root):
    pager = f"{sys.executable} -c \"print('PAGED')\""
    text = in_a_terminal(["--no-pager"], root, PAGER=pager, NO_COLOR="1")
    assert "PAGED" not in text
    assert "\x1b" not in text
    assert "faster" in text
    dumb = in_a_terminal([], root, PAGER=pager, TERM="dumb")
    assert "\x1b" not in dumb
    assert "PAGED" not in dumb


def test_a_pager_that_is_not_there_leaves_the_page(root):
    assert "faster" in in_a_terminal([], root, PAGER="no-such-pager-anywhere")


def test_an_ascii_output_gets_ascii(root):
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", "show", "latest", "--runs", str(root)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.isascii()
    assert b"####" in done.stdout


def test_a_path_goes_out_with_the_bytes_that_it_has(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    degrade()
    print(os.fsdecode(b"/runs/men\xfc"), flush=True)
    assert stream.buffer.getvalue() == b"/runs/men\xfc\n"


def test_tables_come_close_in_ascii_and_data_loses_nothing(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    degrade()
    print_table("ratio – of 2 × 3 µs", ("backend", "ratio"), [("日本", "0.997× [0.9, 1.1] ± …")], ("ratio",))
    print_json("run", {"name": "日本 × \U0001f600"})
    table, _, data = stream.buffer.getvalue().decode("ascii").partition("{")
    assert "ratio - of 2 x 3 us" in table
    assert "?? " in table
    assert "0.997x [0.9, 1.1] +- ..." in table
    assert json.loads("{" + data)["name"] == "日本 × \U0001f600"


@pytest.mark.parametrize(
    ("touched", "told"),
    [
        ((1,), "round 1 was contaminated, and its times are left out: a background load"),
        (
            range(1, 9),
            "round 1 was contaminated, as most were: its times are shown, and no verdict is given on them: a",
        ),
        ((0,), "round 0 was contaminated: a background load"),
    ],
    ids=["one", "all", "the cold one"],
)
def test_what_became_of_a_contaminated_round_is_what_the_medians_below_are_made_of(touched, told):
    run = synthetic_run(backends=("eager", "xla"), rounds=8, points=llm_points(("decode",)), headline="decode")
    (segment,) = run.segments
    run = replace(run, segments=(replace(segment, disturbed=dict.fromkeys(touched, "a background load")),))
    text = " ".join(page(run, Terminal(width=200)).split())
    assert told in text
    assert "does not count" not in text


def test_a_round_that_was_contaminated_beside_one_model_says_for_how_many_configurations_it_is_left_out():
    text = " ".join(page(beside_others(two_models(), "decode", (3,)), Terminal(width=200)).split())
    assert "round 3 was contaminated, and its times for 1 of 2 configurations are left out: xla: other" in text
