"""The export otava, read by Apache Otava itself: `make otava`, which installs it into an environment of its own.

No part of `make test`.
"""

import json
import os
import shutil
import subprocess

import pytest
import yaml
from steelyard.reports.otava import REPORT

from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from tests.fakes.runs import synthetic_run
from tests.reports.histories import history


@pytest.mark.parametrize(("arm", "expected"), [("xla", [("synthetic-0012", 12)]), ("eager", [])])
def test_otava_finds_the_step_and_no_other(arm, expected, tmp_path):
    otava = shutil.which(os.environ.get("OTAVA", "otava"))
    assert otava is not None, "otava is not on the path: make otava"
    data = build(synthetic_run(rounds=1, backends=("eager", "xla")))
    REPORT.write(ReportInputs(data=data, records=tuple(history())), tmp_path)
    folder = tmp_path / "otava"
    config = yaml.safe_load((folder / "otava.yaml").read_text())
    (name,) = [name for name in config["tests"] if f"-{arm}-" in name]
    done = subprocess.run(
        [otava, "analyze", name, "--output", "json", "--since", "2025-12-01", "--until", "2026-12-31"],
        cwd=folder,
        env={**os.environ, "OTAVA_CONFIG": "otava.yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert name in found, done.stdout
    changes = [(point["attributes"]["run"], change["index"]) for point in found[name] for change in point["changes"]]
    assert changes == expected, done.stdout
