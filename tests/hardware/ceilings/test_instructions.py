"""Single instructions are measured in cycles, with their operands in registers, and land in a table."""

import platform
import shutil
import subprocess
from collections import Counter
from dataclasses import replace

import pytest

from steelyard.core.ceilings import INSTRUCTIONS, Ceiling
from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings import build
from steelyard.hardware.ceilings.instructions import prepare
from steelyard.hardware.ceilings.jobs import Start
from steelyard.tables.instructions import instructions_table
from tests.fakes.ceilings import TERMS, known, synthetic_ceilings

X86 = platform.machine() == "x86_64"
OTHER_CPUS = ("haswell", "alderlake", "skylake-avx512", "sapphirerapids")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The library of this machine and what it offers, the best of several samples each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("instructions")))
        made = build.library(INSTRUCTIONS)
    work = prepare(Start(by=INSTRUCTIONS, terms=TERMS, library=str(made.path)))
    seen = {}
    for offer, sample in work.offers:
        if sample is not None:
            seen[offer.instruction, offer.dtype, offer.what, offer.unit] = min(sample() for _ in range(8))
    return seen


def of_multiply_add(table):
    return next(key[:2] for key in table if key[1] == "float32" and key[0].startswith(("vfmadd", "fmla")))


def test_every_instruction_has_a_throughput_and_a_pair_and_all_but_loads_and_stores_a_latency(table):
    ways = Counter(what for *_, what, unit in table if unit == "cycles")
    assert ways["independent"] == ways["paired"] >= 17
    assert ways["dependent"] == ways["independent"] - 2
    assert all(value > 0 for value in table.values())


def test_the_measure_is_a_cycle_and_a_multiply_add_waits_longer_than_it_takes(table):
    (cycle,) = (key for key in table if key[3] == "s")
    assert table[(*cycle[:3], "cycles")] == pytest.approx(1, rel=0.25)
    own = of_multiply_add(table)
    assert table[(*own, "dependent", "cycles")] > 2 * table[(*own, "independent", "cycles")]


def test_a_multiply_add_beside_itself_finds_no_other_units(table):
    own = of_multiply_add(table)
    alone = table[(*own, "independent", "cycles")]
    assert table[(*own, "paired", "cycles")] > 1.5 * alone


@pytest.mark.skipif(not X86 or shutil.which("gcc") is None, reason="compiled for kinds of x86-64 by gcc")
@pytest.mark.parametrize("cpu", OTHER_CPUS)
def test_the_table_is_written_for_other_cpus_and_operands_stay_in_registers(tmp_path, cpu):
    path = tmp_path / "instructions.so"
    source = build.source(INSTRUCTIONS)
    flags = [flag for flag in build._FLAGS if flag != "-pthread"]
    subprocess.run(
        ["gcc", *flags, f"-march={cpu}", "-Werror=all", "-x", "c", "-", "-o", str(path)], input=source, check=True
    )
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True
    )
    on_stack = Counter()
    function = ""
    for line in listing.stdout.splitlines():
        if line.endswith(">:"):
            function = line.split("<")[1][:-2]
        elif "(%rsp)" in line or "(%rbp)" in line:
            on_stack[function] += 1
    chains = {name: count for name, count in on_stack.items() if name.endswith(("dependent", "paired"))}
    in_registers = {name: count for name, count in chains.items() if not name.startswith(("load_", "store_", "tile_"))}
    assert in_registers
    assert max(in_registers.values()) <= 8, in_registers  # what stands before the loop


def test_an_instruction_that_the_kernel_forbids_has_its_reason(tmp_path):
    path = tmp_path / "stand_in.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path)], input=STAND_IN, check=True)
    work = prepare(Start(by=INSTRUCTIONS, terms=TERMS, library=str(path)))
    offers = [offer for offer, sample in work.offers if sample is None]
    assert [(offer.instruction, offer.reason) for offer in offers] == [
        ("tiles", "the kernel does not let this process use tiles")
    ]
    assert work.offers[0][1]() == pytest.approx(1e-9)
    assert [sample() for offer, sample in work.offers if offer.unit == "cycles" and sample] == [1, 1, 1]


STAND_IN = b"""
#include <stdint.h>
int steelyard_instructions(void) { return 2; }
const char *steelyard_name(int which) { return which ? "tiles" : "add"; }
const char *steelyard_dtype(int which) { return "int8"; }
int64_t steelyard_count(int which, int way) { return which ? 0 : 10; }
double steelyard_run(int which, int way, int64_t passes) { return 1e-8 * passes; }
"""


def test_on_an_accelerator_there_are_none():
    with pytest.raises(Unsupported, match="those of a CPU, not of cuda"):
        prepare(Start(by=INSTRUCTIONS, terms=replace(TERMS, device_kind="cuda")))


def row(instruction, what, value, unit="cycles", reason=""):
    estimate = None if reason else known(value)
    return Ceiling(what=what, by=INSTRUCTIONS, unit=unit, threads=1, instruction=instruction, dtype="float32",
                   estimate=estimate, reason=reason)  # fmt: skip


def test_the_table_holds_a_pair_against_both_in_turns():
    rows = (
        row("add", "dependent", 0.25e-9, unit="s"),
        row("vfmadd231ps zmm", "independent", 0.5),
        row("vaddps zmm", "dependent", 3),
        row("vaddps zmm", "independent", 1),
        row("vaddps zmm", "paired", 1.1),
        row("tiles", "independent", 0, reason="the kernel does not let this process use tiles"),
    )
    found = instructions_table(replace(synthetic_ceilings(), rows=rows))
    values = {each.tags["instruction"]: [cell.value for cell in each.cells[2:]] for each in found.rows}
    assert values == {
        "vfmadd231ps zmm": [None, 0.5, None, None],
        "vaddps zmm": [3, 1, 1.1, 1.5],
        "tiles": [None, None, None, None],
    }
    assert "does not let" in found.footnotes[0].text
    assert "0.25 ns, 4 GHz" in found.notes[0]
