"""The task for SkyPilot is YAML that says what is meant."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from steelyard.core.shard import Shard, ShardPlace
from steelyard.fleet.sky import task

SHARDS = tuple(
    Shard(
        tool_version="1",
        place=ShardPlace(plan="abc", number=number, count=2),
        asked={},
        points=("p",),
        titles=("t",),
    )
    for number in (1, 2)
)


@pytest.mark.parametrize("packages", [["steelyard[cuda]"], ["steelyard[tpu]", "./my compiler"]])
def test_it_measures_the_shard_that_it_is_told_and_keeps_the_run(packages: list[str], tmp_path: Path) -> None:
    text = task(SHARDS, tmp_path / "plan", accelerators="A100:1", bucket="runs", packages=packages)
    read = yaml.safe_load(text)
    assert read["resources"] == {"accelerators": "A100:1"}
    assert read["envs"] == {"SHARD": "1"}
    assert read["file_mounts"]["~/bucket"] == {"name": "runs", "mode": "MOUNT"}
    assert "bench run --shard ~/plan/$SHARD.json --output ~/runs" in read["run"]
    assert read["run"].index("bench run") < read["run"].index("cp -r ~/runs/. ~/bucket/")
    for part in ("setup", "run"):
        checked = subprocess.run(["bash", "-n"], input=read[part], text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
    assert all(f"'{package}'" in read["setup"] for package in packages)
    assert "for shard in 1 2; do" in text


def test_it_is_printed(tmp_path: Path) -> None:
    options = ("--suite", "steelyard.selftest.suite:SUITE", "--backend", "eager", "--shards", "1", "-o", "plan")
    bench = [sys.executable, "-m", "steelyard"]
    subprocess.run([*bench, "plan", *options], cwd=tmp_path, check=True, capture_output=True)
    command = [*bench, "fleet", "sky", "plan", "--accelerators", "tpu-v5e-8", "--bucket", "b"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "steelyard[tpu]" in yaml.safe_load(done.stdout)["setup"]
