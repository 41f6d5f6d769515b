"""The export otava: a file a case, a row a run. That Otava itself reads it is checked by `make otava`."""

import pytest
import yaml

from steelyard.tables.facts import gather
from steelyard.tables.records import Records, records
from tests.fakes.runs import Outcome
from tests.reports.histories import history
from tests.reports.test_exports import POINTS, export, made


@pytest.fixture(scope="module")
def runs() -> list[Records]:
    return history(count=4)


def test_otava_has_a_file_a_case_and_a_row_a_run(runs, tmp_path):
    export("otava", tmp_path, *reversed(runs))
    config = yaml.safe_load((tmp_path / "otava/otava.yaml").read_text())
    assert len(config["tests"]) == 2
    (name,) = [name for name in config["tests"] if "-xla-" in name]
    test = config["tests"][name]
    assert test["metrics"] == {"latency_s": {"direction": -1, "scale": 1, "column": "latency_s"}}
    head, *rows = (tmp_path / "otava" / test["file"]).read_text().splitlines()
    assert head == "time,run,versions,latency_s"
    assert len(rows) == len(runs)
    assert [row.partition(",")[0] for row in rows] == sorted(row.partition(",")[0] for row in rows)


def test_otava_has_no_row_where_a_run_has_no_number(runs, tmp_path):
    failed = {("xla", "decode"): Outcome(status="crashed", reason="signal 11")}
    torn = records(gather(made(seed=99, rounds=3, backends=("eager", "xla"), points=POINTS[:1], statuses=failed)))
    files, remarks = export("otava", tmp_path, *runs[:2], torn)
    (text,) = [text for name, text in files.items() if "-xla-" in name]
    assert len(text.splitlines()) == 3
    assert remarks == ["otava: left out, without a number: 1 of 6 rows"]
