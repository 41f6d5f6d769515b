"""The pages written: a front page, one for each group of series, one for each series. No page needs another's data, and
none asks a server for anything."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from steelyard import __version__
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.visible import visible
from steelyard.dashboard import drawing
from steelyard.dashboard.content import Group, Newest, coverage, every_night, groups_of, lately, named, page_of
from steelyard.history.changes import Change, Told, told
from steelyard.history.nights import Night
from steelyard.history.table import verdict
from steelyard.tables.format import decimals, fixed

MARK = "steelyard-dashboard"
"""In the front page: what tells a folder that may be written anew."""


def build(nights: Sequence[Night], folder: Path, *, machines: Mapping[str, str], newest: Newest | None) -> list[Path]:
    """Write the site of a history into a folder; returns its pages, the front page first. `machines` says what is known
    of machines by their keys. Raises UsageError for a folder with something else in it, or a history without nights."""
    if not nights:
        raise UsageError("the history holds no nights; bench history add makes one of the stored runs")
    _refuse_others(folder)
    series = told(nights)
    groups = groups_of(series)
    write = _Writer(folder)
    found = [
        write(
            "index.html",
            "index",
            title="Benchmarks night after night",
            last=nights[-1],
            changes=[_change(change) for change in lately(series)],
            groups=[_group(group, machines) for group in groups],
            newest=None if newest is None else _newest(newest),
        )
    ]
    for group in groups:
        where = f"{group.suite} on {group.device}, {named(machines, group.machine)}"
        rows = [_row(each) for each in group.members]
        covered = [_covered(each) for each in coverage(group)]
        found.append(write(f"group-{group.slug}.html", "group", title=where, rows=rows, covered=covered))
        found += [
            write(f"series-{page_of(each.series)}.html", "series", **_series(each, group)) for each in group.members
        ]
    return found


class _Writer:
    """Writes a page of a template."""

    def __init__(self, folder: Path) -> None:
        templates = files("steelyard.reports.templates")
        self._folder = folder
        self._style = templates.joinpath("page.css").read_text() + templates.joinpath("dashboard.css").read_text()
        self._script = templates.joinpath("dashboard.js").read_text()
        self._policy = (
            f"default-src 'none'; script-src '{_digest(self._script)}'; style-src '{_digest(self._style)}'; "
            "base-uri 'none'; form-action 'none'"
        )
        self._environment = jinja2.Environment(
            loader=jinja2.FunctionLoader(lambda name: templates.joinpath(name).read_text()),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def __call__(self, name: str, kind: str, **fields: Any) -> Path:
        text = self._environment.get_template("dashboard.html.jinja").render(
            kind=kind,
            mark=MARK,
            version=__version__,
            policy=self._policy,
            style=Markup(self._style),  # noqa: S704 (the project's own files)
            script=Markup(self._script),  # noqa: S704
            **fields,
        )
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_text(visible(text, lines=True), encoding="utf-8")
        except OSError as error:
            raise SteelyardError(f"{path}: cannot be written: {error.strerror}") from error
        return path


def _refuse_others(folder: Path) -> None:
    """Raises UsageError for a folder that has something, and no front page of ours; pages of before are removed."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    front = folder / "index.html"
    if not front.is_file() or MARK not in front.read_text(errors="replace")[:2000]:
        raise UsageError(f"{folder}: has other files in it; choose a folder of its own")
    for page in (*folder.glob("series-*.html"), *folder.glob("group-*.html")):
        page.unlink()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else fixed(value * 1e3, decimals(value * 1e3))


def _what(told_: Told) -> dict[str, str]:
    series = told_.series
    return {
        "page": f"series-{page_of(series)}.html",
        "arm": series.arm,
        "title": series.title,
        "metric": series.metric.removesuffix("_s"),
    }


def _change(change: Change) -> dict[str, Any]:
    low, high = change.interval
    series = change.series
    return {
        "page": f"series-{page_of(series)}.html",
        "what": f"{series.arm}, {series.title}, {series.metric.removesuffix('_s')}",
        "suite": series.suite,
        "verdict": verdict(change),
        "since": change.after.since.created_utc[:10],
        "by": f"{fixed(change.ratio, 3)} [{fixed(low, 3)}, {fixed(high, 3)}]",
        "versions": ", ".join(f"{name} {old} → {new}" for name, (old, new) in change.versions.items()),
    }


def _group(group: Group, machines: Mapping[str, str]) -> dict[str, Any]:
    nights = group.nights
    return {
        "page": f"group-{group.slug}.html",
        "suite": group.suite,
        "machine": named(machines, group.machine),
        "device": group.device,
        "series": len(group.members),
        "backends": ", ".join(dict.fromkeys(each.series.arm for each in group.members)),
        "nights": len(nights),
        "last": nights[-1][:10],
    }


def _newest(newest: Newest) -> dict[str, Any]:
    rows = []
    for item in newest.comparisons:
        speedup, ends = item.speedup, ""
        if speedup is not None and speedup.interval is not None:
            ends = f" [{fixed(speedup.interval.low, 2)}, {fixed(speedup.interval.high, 2)}]"
        rows.append(
            {
                "title": item.title,
                "metric": item.metric.removesuffix("_s"),
                "arm": item.candidate,
                "baseline": item.baseline,
                "speedup": "" if speedup is None else f"{fixed(speedup.value, 2)}{ends}",
                "verdict": item.verdict,
            }
        )
    about = {"run": newest.run, "created": newest.created_utc[:10], "device": newest.device, "time": newest.time}
    return {**about, "rows": rows}


def _row(each: Told) -> dict[str, Any]:
    last: Change | None = next(reversed(list(each.changes)), None)
    level = each.levels[-1] if each.levels else None
    return {
        **_what(each),
        "level": "" if level is None else _milliseconds(level.value),
        "noise": "" if each.noise is None else f"{100 * each.noise:.1f}",
        "nights": sum(len(one.nights) for one in each.levels),
        "spark": drawing.spark(each),
        "verdict": "" if last is None else verdict(last),
        "since": "" if last is None else last.after.since.created_utc[:10],
    }


def _covered(found: Any) -> dict[str, Any]:
    return {
        "arm": found.arm,
        "now": f"{found.counted[-1]} of {found.total[-1]}",
        "first": f"{found.counted[0]} of {found.total[0]}",
        "drawn": drawing.covered(found),
    }


def _series(each: Told, group: Group) -> dict[str, Any]:
    return {
        **_what(each),
        "group": f"group-{group.slug}.html",
        "suite": group.suite,
        "device": group.device,
        "reason": each.reason,
        "noise": "" if each.noise is None else f"{100 * each.noise:.1f}",
        "chart": drawing.chart(each),
        "changes": [_change(change) for change in reversed(list(each.changes))],
        "nights": list(_nights(each)),
    }


def _nights(each: Told) -> Iterator[dict[str, Any]]:
    """Newest first."""
    for night in reversed(every_night(each)):
        yield {
            "run": night.run,
            "when": night.created_utc[:10],
            "value": _milliseconds(night.value),
            "launches": night.launches,
            "reason": night.reason,
        }
