"""The documents say what is so: commands, options, extras, files and links exist."""

import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from steelyard import plugins
from steelyard.cli.main import app
from steelyard.core.backend import split_backends
from steelyard.lowering.tolerance import BOUNDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(?:sh|console|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:bench|make|pip install) [^`]+)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
SECTION = re.compile(r"^## `bench ([^`]+)`$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
OPTION_ROW = re.compile(r"^\| `(--[a-z0-9-]+)", re.MULTILINE)


def commands(path: Path) -> list[list[str]]:
    """Every command of a document that begins with bench, make or pip, as words."""
    text = path.read_text()
    lines = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += INLINE.findall(text)
    found = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [words for words in found if words and words[0].split("/")[-1] in ("bench", "make", "pip")]


def each(program: str) -> list:
    return [
        pytest.param(words, id=f"{path.name}: {' '.join(words)}"[:100])
        for path in DOCUMENTS
        for words in commands(path)
        if words[0].split("/")[-1] == program
    ]


def descend(words: list[str]):
    """The command that the words name, and what is left of them."""
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def spellings(command) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_the_readme_shows_the_two_commands():
    shown = [words[:2] for words in commands(ROOT / "README.md")]
    assert ["make", "bench"] in shown
    assert ["bench", "run"] in shown


@pytest.mark.parametrize("words", each("bench"))
def test_bench_commands_exist(words):
    command, rest = descend(words[1:])
    assert not hasattr(command, "commands") or not rest or rest[0].startswith("-"), f"no such verb: {rest[0]}"
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    takes = spellings(command) | {"--help"}
    if command.context_settings.get("ignore_unknown_options"):  # those of `bench run` besides its own
        takes |= spellings(descend(["run"])[0])
    assert given <= takes
    for option, value in pairwise(rest):
        if option in ("--backend", "--baseline") and "backend" in {p.name for p in command.params}:
            for text in split_backends(value):
                name = plugins.backend(text).runner
                assert ":" in name or name in {"all", *plugins.runners()}, f"no such backend: {name}"
        if option == "--suite":
            assert ":" in value or value in plugins.suites()


@pytest.mark.parametrize("words", each("make"))
def test_make_targets_exist(words):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words[1:] if "=" not in word} <= targets


@pytest.mark.parametrize("words", each("pip"))
def test_extras_exist(words):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"(?:steelyard|\.)\[([a-z,]+)\]", " ".join(words))
    assert {extra for group in named for extra in group.split(",")} <= set(project["optional-dependencies"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    missing = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert not missing


def test_tolerances_are_those_of_the_code():
    shown = re.findall(r"^\| `(\w+)` \| ([\d.e-]+) \| ([\d.e-]+) \|$", (ROOT / "docs/measurement.md").read_text(), re.M)
    assert {dtype: (float(low), float(high)) for dtype, low, high in shown} == dict(BOUNDS)


def test_the_reference_lists_every_command():
    documented = {name for name, _ in SECTION.findall((ROOT / "docs/cli.md").read_text())}
    assert documented == set(leaf_commands())


def leaf_commands(command=None, prefix=()) -> list[str]:
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        return [" ".join(prefix)]
    own = [" ".join(prefix)] if prefix and command.invoke_without_command else []  # a group that does something alone
    return own + [name for verb, below in command.commands.items() for name in leaf_commands(below, (*prefix, verb))]


@pytest.mark.parametrize("name", leaf_commands())
def test_the_reference_lists_exactly_the_options(name):
    sections = dict(SECTION.findall((ROOT / "docs/cli.md").read_text()))
    command, rest = descend(name.split())
    assert not rest
    documented = set(OPTION_ROW.findall(sections.get(name, "")))
    options = [parameter for parameter in command.params if parameter.opts[0].startswith("-")]
    undocumented = [option.opts[0] for option in options if not documented & {*option.opts, *option.secondary_opts}]
    assert not undocumented, f"add them to '## `bench {name}`' in docs/cli.md"
    assert documented <= spellings(command), f"docs/cli.md lists options that `bench {name}` does not have"


def test_every_kind_of_json_output_is_described():
    verbs = "".join(path.read_text() for path in (ROOT / "steelyard" / "cli").glob("*.py"))
    printed = {f"steelyard-{kind}" for kind in re.findall(r'print_json\(\s*"([a-z-]+)"', verbs)}
    described = set(re.findall(r"`(steelyard-[a-z-]+)`", (ROOT / "docs" / "json.md").read_text()))
    assert len(printed) > 20
    assert printed == described
