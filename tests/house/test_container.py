"""The container image is built of what the wheel needs, and says what the environment of `make env` says."""

import re
import tomllib
from pathlib import Path

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
