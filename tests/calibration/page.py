"""docs/calibration.md from the data of the stages, and from nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard import wire
from tests.calibration import (
    aa,
    bench,
    effect,
    goals,
    native_overhead,
    sampler,
    simulate,
    simulated_page,
    turns,
    vendor,
)
from tests.validation.agreement_rows import Agreement
from tests.validation.native_overhead_rows import NativeOverhead

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "calibration"
PAGE = ROOT / "docs" / "calibration.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One section of the page: the stage and file it comes from, what the file holds, and how it is written."""

    stage: str
    file: str
    kind: type
    title: str
    section: Callable[[Any], list[str]]


PARTS = (
    Part(
        stage="simulate",
        file=simulate.FILE,
        kind=simulate.Simulated,
        title="Simulated comparisons",
        section=simulated_page.section,
    ),
    Part(
        stage="turns",
        file=turns.FILE,
        kind=turns.Tried,
        title="What taking turns does to what is measured",
        section=turns.section,
    ),
    *(
        Part(stage=stage, file=file, kind=aa.AaCounts, title=f"Equal programs, {words}", section=aa.section)
        for stage, files in aa.STAGES.items()
        for file, words in files.items()
    ),
    Part(
        stage="effect",
        file=effect.FILE,
        kind=effect.Found,
        title="The minimum detectable effect, put to the test",
        section=effect.section,
    ),
    Part(
        stage="bench",
        file=bench.FILE,
        kind=bench.Bench,
        title="What `make bench` gives",
        section=bench.section,
    ),
    Part(
        stage="sampler",
        file=sampler.FILE,
        kind=sampler.Sampled,
        title="What reading a meter does to the calls beside it",
        section=sampler.section,
    ),
    Part(
        stage="vendor",
        file=vendor.FILE,
        kind=Agreement,
        title="Agreement with the vendors' tools",
        section=vendor.section,
    ),
    Part(
        stage="vendor",
        file=native_overhead.FILE,
        kind=NativeOverhead,
        title="Native-path overhead",
        section=native_overhead.section,
    ),
)


def load(folder: Path) -> Mapping[str, Any]:
    """The data of the stages that have been run, by file name. Raises StoreError naming a file of another form."""
    return {part.file: wire.read(folder / part.file, part.kind) for part in PARTS if (folder / part.file).exists()}


def render(data: Mapping[str, Any]) -> str:
    """The page. Stages without data are named as not run."""
    lines = [
        "# How often the verdicts are wrong",
        "",
        "What [the protocol](measurement.md) promises, held against simulations of which the truth is known and "
        "against real backends. The page is written by `make calibrate` from the files in "
        "[calibration/](calibration/); `make calibrate STAGES=simulate` runs one stage alone. Shares are in percent; "
        "brackets are 95 % Clopper-Pearson intervals.",
        "",
        "The launches of a round took [turns](measurement.md#turns) where a section says so. Else they ran one "
        "after the other, as with `--turns off` and as all did before there were turns.",
        "",
        *goals.section(data),
    ]
    missing: dict[str, list[str]] = {}
    for part in PARTS:
        if part.stage == "effect":  # after all counts of equal programs
            lines += aa.protocols([data[each.file] for each in PARTS if each.kind is aa.AaCounts and each.file in data])
        if part.file not in data:
            missing.setdefault(part.stage, []).append(part.title)
            continue
        body = part.section(data[part.file])
        if not body[0].startswith("## "):
            body = [f"## {part.title}", "", *body]
        lines += body
    if missing:
        lines += ["## Not run yet", ""]
        lines += [f"- {'; '.join(titles)}: `make calibrate STAGES={stage}`" for stage, titles in missing.items()]
        lines.append("")
    return "\n".join(lines)
