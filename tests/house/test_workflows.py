"""What CI runs: actions pinned by hash, and commands of `bench` that exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from steelyard.cli.main import app

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_hash(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(?: # (\S+))?", path.read_text())
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{path.name}: {action} could be moved to other code"
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), f"{path.name}: say which version {action} is"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_are_taken_by_bench(path: Path) -> None:
    for line in re.findall(r"\bbin/bench ([^|\n]+)", path.read_text()):
        words = shlex.split(line)
        command = get_command(app)
        while hasattr(command, "commands"):
            name = words.pop(0)
            assert name in command.commands, f"{path.name}: bench has no {name}"
            command = command.commands[name]
        assert command.make_context("bench", words)
