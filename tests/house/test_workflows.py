"""What CI runs: actions pinned by hash, and commands of `bench` that exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from steelyard.cli.main import app

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


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
        made = taken(words)
        if made.args:  # the options of `bench run`, passed on
            assert taken(["run", *made.args])


def taken(words: list[str]):
    command, place = get_command(app), 0
    while hasattr(command, "commands"):
        assert words[place] in command.commands, f"bench has no {words[place]}"
        command, place = command.commands[words[place]], place + 1
    return command.make_context("bench", words[place:])


def test_security_of_workflows_and_of_the_action():
    """By zizmor, without a network. `self-hosted` runners are the purpose of nightly.yml."""
    command = ["zizmor", "--offline", "--no-progress", "--format", "plain", "--min-severity", "low"]
    done = subprocess.run(
        [*command, str(ROOT / ".github/workflows"), str(ROOT / "action.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_passes_inputs_by_the_environment_and_they_are_taken_by_bench():
    text = (ROOT / "action.yml").read_text()
    scripts = re.findall(r"run: \|\n((?: {8}.*\n)+)", text)
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts), "an input must not become part of a script"
    default = re.search(r"default: (--suite .*)", text)
    assert default
    words = ["ci", "compare", "--base", "main", "--backend", "mypkg:Runner", "--fail-on", "slower"]
    assert taken(["run", *taken([*words, *shlex.split(default[1])]).args])
