"""A module fits on a few screens: what grows beyond that is two things."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 300


def test_no_module_of_the_product_is_over_300_lines() -> None:
    modules = [path for part in ("steelyard", "runners", "suites", "reports") for path in (ROOT / part).rglob("*.py")]
    assert len(modules) > 400
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}
