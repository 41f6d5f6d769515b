"""The container image is built of what the wheel needs, and says what the environment of `make env` says."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "Containerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_what_the_wheel_is_made_of_is_sent_to_the_engine():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    places = {place.partition("/")[0] for place in PROJECT["tool"]["setuptools"]["package-dir"].values()}
    stated = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "constraints"}
    assert sent == places | stated
    assert all((ROOT / name).exists() for name in sent)


def test_every_install_is_of_tested_versions_and_of_extras_that_there_are():
    installs = re.findall(r"pip install (?:[^&]|&(?!&))*", FILE)
    assert len(installs) == 2
    for install in installs:
        (constraints,) = re.findall(r"-c (\S+)", install)
        assert (ROOT / constraints).is_file()
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", FILE)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize(("there", "chosen"), [(("docker",), "docker"), (("podman", "docker"), "podman"), ((), None)])
def test_the_image_is_built_by_the_engine_that_is_there(tmp_path, there, chosen):
    for name in there:
        (tmp_path / name).write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "make", "test", "basename"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        [tmp_path / "make", "image", "PIP_OPTIONS=--pre"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if chosen is None:
        assert done.returncode
        assert "neither podman nor docker is installed" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert f"{chosen} build --file Containerfile --build-arg PIP_OPTIONS=--pre --tag steelyard ." in done.stdout
