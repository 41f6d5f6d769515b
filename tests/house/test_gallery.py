"""docs/gallery.md shows every registered figure, or says what it waits for, and no other."""

import re
from pathlib import Path

from steelyard import plugins

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gallery.md").read_text()


def test_every_figure_is_shown_or_waits_for_data():
    shown, waiting = PAGE.split("## Waiting for data")
    pictures = re.findall(r"^!\[([^\]]+)\]\(figures/([a-z_]+)\.png\)$", shown, re.MULTILINE)
    titles = {name: title for title, name in pictures}
    awaited = set(re.findall(r"^- `([a-z_]+)`: ", waiting, re.MULTILINE))
    figures = plugins.figures()
    assert set(titles) | awaited == set(figures)
    assert not set(titles) & awaited
    assert titles == {name: figures[name].title for name in titles}


def test_the_pictures_are_there_and_no_others():
    names = set(re.findall(r"\(figures/([a-z_]+\.png)\)", PAGE))
    assert {path.name for path in (ROOT / "docs/figures").iterdir()} == names
