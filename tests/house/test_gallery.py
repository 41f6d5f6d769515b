"""docs/gallery.md shows every registered figure and no other, and what was drawn from a stand-in says so."""

import re
from pathlib import Path

from tests.reports.gallery import drawn, figures, page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gallery.md").read_text()


def test_every_figure_is_shown_with_the_command_that_makes_it():
    sections = dict(section.split("\n", 1) for section in PAGE.split("\n## ")[1:])
    assert set(sections) == {figure.title for figure in figures().values()}
    for name, figure in figures().items():
        assert f"![{figure.title}](figures/{name}.png)" in sections[figure.title]
        assert re.search(r"`(bench report results/published/|make gallery`)", sections[figure.title])


def test_the_page_is_what_make_gallery_writes():
    every = drawn(saved=False)
    assert not [name for name, each in every.items() if each.picture.reason]
    assert all(each.reason for each in every.values() if each.run is None)
    assert page(every) == PAGE


def test_the_pictures_are_there_and_no_others():
    names = set(re.findall(r"\(figures/([a-z_]+\.png)\)", PAGE))
    assert {path.name for path in (ROOT / "docs/figures").iterdir()} == names
