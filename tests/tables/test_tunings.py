"""Both tunings of every backend stand in the report, the one used marked."""

import pytest

from steelyard import plugins
from steelyard.core.result import OutputCheck
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run


@pytest.fixture(scope="module", params=["default", "max"])
def used(request):
    return request.param


@pytest.fixture(scope="module")
def data(used):
    points = llm_points(("decode",))
    return build(synthetic_run(backends=("eager", "xla"), rounds=3, points=points, headline="decode", tuning=used))


def test_the_table_has_both_and_marks_the_one_used(data, used):
    table = next(table for table in data.tables if table.name == "tuning")
    cells = [{c.key: cell.text for c, cell in zip(table.columns, row.cells, strict=True)} for row in table.rows]
    assert [(row["backend"], row["tuning"].removesuffix(" (used)")) for row in cells] == [
        (backend, tuning) for backend in ("eager", "xla") for tuning in ("default", "max")
    ]
    for row in cells:
        assert row["tuning"].endswith(" (used)") == row["tuning"].startswith(used)
        assert ("search=yes" in row["options"]) == row["tuning"].startswith("max")
        assert (row["compiled"] == "not used in this run") == (not row["tuning"].endswith(" (used)"))


@pytest.mark.parametrize("name", ["markdown", "latex", "html"])
def test_every_format_shows_both(data, used, name, tmp_path):
    files = plugins.reports()[name].write(ReportInputs(data=data), tmp_path)
    text = "".join(path.read_text() for path in files if path.suffix in (".md", ".tex", ".html"))
    text = text.replace("\\allowbreak{}", "")
    other = "max" if used == "default" else "default"
    assert f"{used} (used)" in text
    assert "not used in this run" in text
    assert other in text
    assert "search=yes" in text
    assert "search=no" in text


def test_an_exact_output_uses_none_of_its_tolerance():
    check = OutputCheck(output="token", relative_l2=0.0, max_abs=0.0, tolerance=0.0, passed=True)
    assert check.share == 0
    wrong = OutputCheck(output="token", relative_l2=0.5, max_abs=1.0, tolerance=0.0, passed=False)
    assert wrong.share == float("inf")
    near = OutputCheck(output="logits", relative_l2=1e-6, max_abs=1e-5, tolerance=2e-6, passed=True)
    assert near.share == 0.5
