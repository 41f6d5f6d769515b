"""What the page says of equal programs: by which protocol, and both beside each other where both were measured."""

import dataclasses
from pathlib import Path

from steelyard import wire
from steelyard.core.aa_counts import AaCounts
from tests.calibration import aa, files, page

APART = wire.read(page.FOLDER / "aa-quiet.json", AaCounts)
IN_TURNS = dataclasses.replace(
    APART, protocol="in turns", wall_s=1800.0, all=dataclasses.replace(APART.all, detectable=0.05)
)


def test_each_condition_says_how_its_launches_ran() -> None:
    assert aa.section(APART)[0].startswith("Both sides are the same backend, launches one after the other. ")
    assert aa.section(IN_TURNS)[0].startswith("Both sides are the same backend, launches in turns. ")


def test_both_protocols_stand_beside_each_other_where_both_were_measured(tmp_path: Path) -> None:
    assert aa.protocols([APART, dataclasses.replace(IN_TURNS, condition="switching")]) == []
    for name, data in {"aa-quiet": APART, "aa-quiet-in-turns": IN_TURNS}.items():
        files.write(tmp_path / f"{name}.json", data)
    text = page.render(page.load(tmp_path))
    _, _, rest = text.partition("## Equal programs by both protocols")
    table = [line for line in rest.split("##")[0].splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[0] for line in table] == ["| in turns", "| one after the other"]
    assert table[0].endswith("| 5.0 | 30 |")
    assert table[1].endswith("| 49.5 | not known |")


def test_the_load_is_told_with_its_rhythm() -> None:
    titles = [part.title for part in page.PARTS if part.kind is AaCounts]
    assert "Equal programs, a background load on one core, on and off for 2 to 8 s each, in turns" in titles
