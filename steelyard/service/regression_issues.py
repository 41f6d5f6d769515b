"""Confirmed regressions as text for an issue tracker: a Markdown file each, its title on the first line."""

from collections.abc import Iterable
from pathlib import Path

from steelyard.core.hashing import stable_hash
from steelyard.service.confirming import Alarm
from steelyard.tables.slug import slug

_BEGINS = "slower: "
"""How every title begins, and by what an older file is known as one of ours."""


def write_issues(alarms: Iterable[Alarm], folder: Path) -> tuple[Path, ...]:
    """A file for each confirmed alarm, named after its series: title, empty line, text. Older files there are removed.

    The title says which series it is and not since when, so that the same regression has the same title every night.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.read_text(encoding="utf-8", errors="replace").startswith(_BEGINS):
            old.unlink()
    texts: dict[str, list[str]] = {}
    for alarm in alarms:
        if alarm.outcome == "confirmed":
            texts.setdefault(_one_line(_title(alarm)), []).append(_text(alarm))
    files = {folder / f"{slug(title)[:80]}-{stable_hash(title, 8)}.md": title for title in texts}
    for file, title in files.items():
        file.write_text("\n\n".join([title, *texts[title]]) + "\n", encoding="utf-8")
    return tuple(files)


def _title(alarm: Alarm) -> str:
    series = alarm.change.series
    what = f"{series.arm}, {series.suite} {series.title}, {series.metric.removesuffix('_s')}"
    return f"{_BEGINS}{what} on {series.device}"


def _text(alarm: Alarm) -> str:
    change, speedup = alarm.change, alarm.speedup
    ends = None if speedup is None else speedup.interval
    times = "not known" if speedup is None else f"{speedup.value:.3f}"
    interval = "" if ends is None else f" [{ends.low:.3f}, {ends.high:.3f}]"
    versions = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in change.versions.items())
    return "\n".join(
        [
            f"- since the night of {change.after.since.created_utc[:10]}, run `{_code(change.after.since.run)}`",
            f"- old version's time / new one's, both measured again in turns: {times}{interval}",
            f"- {_one_line(alarm.told)}",
            f"- what changed: {_one_line(versions) or 'no version'}",
        ]
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    return _one_line(text).replace("`", "'")
