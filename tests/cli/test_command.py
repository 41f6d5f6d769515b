"""What is stored of a command line: enough to give it again, and nothing of where the machine keeps its files."""

import re
import typing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.cli.run import run
from steelyard.service.command import PATH_OPTIONS, stored_command


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("run --meter /mnt/alice/lab/power.csv --quick", "run --meter power.csv --quick"),
        ("run --meter=/mnt/alice/lab/power.csv", "run --meter=power.csv"),
        ("run --meter lab/of/alice/power.csv", "run --meter power.csv"),
        ("run --output ../alice/runs/ --weights ~/models", "run --output runs --weights models"),
        ("run --output . --resume latest", "run --output . --resume latest"),
        ("replay /mnt/alice/bundle.zip", "replay bundle.zip"),
        ("run --suite tests.small:SUITE --set model=a/b", "run --suite tests.small:SUITE --set model=a/b"),
        ("run --backend xla,onnxruntime[kv_cache=in_place]", "run --backend xla,onnxruntime[kv_cache=in_place]"),
    ],
)
def test_of_a_path_the_last_part_is_kept_and_all_else_to_the_letter(given: str, kept: str) -> None:
    assert stored_command(given.split()) == ("bench", *kept.split())


def test_a_name_that_is_no_text_can_be_stored() -> None:
    (_, _, _, name) = stored_command(["run", "--output", "/runs/men\udcfc"])
    assert name == "men\ufffd"
    assert name.encode()


def test_every_option_of_a_run_that_takes_a_path_is_known() -> None:
    hints = typing.get_type_hints(run)
    taken = {f"--{name}" for name, hint in hints.items() if Path in (hint, *typing.get_args(hint))}
    assert taken == {"--inputs", "--meter", "--model", "--output", "--shard", "--weights"}
    assert taken <= PATH_OPTIONS


def test_help_of_a_run_has_every_option_in_a_group() -> None:
    shown = CliRunner().invoke(app, ["run", "--help"]).output
    titles = re.findall(r"^(\w[^\n]*):$", shown, re.MULTILINE)
    assert titles[0] == "What is measured"
    assert titles[-1] == "Options"
    assert re.findall(r"^  (--\w+)", shown.rpartition("Options:")[2], re.MULTILINE) == ["--help"]
    assert set(re.findall(r"^  (--[\w-]+)", shown, re.MULTILINE)) >= {
        "--suite",
        "--backend",
        "--time",
        "--meter",
        "--json",
    }
