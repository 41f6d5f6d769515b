"""The program of a configuration at every point of its compilation, backends side by side: a page for a browser."""

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from steelyard.core.compilation import Representation
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.folders import TRACES
from steelyard.core.run import Run
from steelyard.core.visible import visible
from steelyard.core.workload import Point
from steelyard.measure import program_texts
from steelyard.tables.format import counted
from steelyard.tracing.compilations import Compiled, compilations

MOST_LETTERS = 2_000_000
"""Of a text on the page: a browser holds no more of many of them."""


def write(run: Run, folder: Path, point: Point, page: Path) -> Path:
    """Write the page of a configuration of a run that is stored at `folder`. What has no text has its reason. Raises
    UsageError for a run that tells of no compilation there."""
    found = [each for each in compilations(run) if each.occasion == "cold" and each.case.point.key == point.key]
    if not any(each.told is not None for each in found):
        why = "; ".join(f"{each.arm}: {each.reason}" for each in found) or "bench profile makes runs that do"
        raise UsageError(f"{run.manifest.run_id} tells of no compilation of {point.title}: {why}")
    templates = files("steelyard.reports.templates")
    style = templates.joinpath("programs.css").read_text()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(templates.joinpath("programs.html.jinja").read_text()).render(
        title=point.title,
        run_id=run.manifest.run_id,
        digest=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
        style=Markup(style),  # noqa: S704 (the project's own file)
        columns=[_column(each, folder / TRACES) for each in found],
    )
    try:
        page.write_text(visible(text, lines=True), encoding="utf-8")
    except OSError as error:
        raise SteelyardError(f"{page}: cannot be written: {error.strerror}") from error
    return page


def _column(compiled: Compiled, folder: Path) -> dict[str, Any]:
    told = compiled.told
    forms = () if told is None else told.representations
    return {"arm": compiled.arm, "reason": compiled.reason, "forms": list(_forms(forms, folder))}


def _forms(forms: tuple[Representation, ...], folder: Path) -> Iterator[dict[str, str]]:
    for form in forms:
        about = counted(form.count, "operator")
        if not form.file:
            yield {"name": form.name, "about": about, "text": "", "reason": "It has no text."}
            continue
        try:
            text = program_texts.read(form, folder)
        except SteelyardError as error:
            yield {"name": form.name, "about": about, "text": "", "reason": str(error)}
            continue
        if len(text) > MOST_LETTERS:
            about += f"; the first {MOST_LETTERS} of {len(text)} letters, all of it in {form.file}"
        yield {"name": form.name, "about": about, "text": text[:MOST_LETTERS], "reason": ""}
