"""Draws every figure for docs/: from a published run, or from a stand-in where none has data for it.

    make gallery        # writes docs/figures/*.png and docs/gallery.md

The stand-in is a synthetic run (tests/fakes): nothing was executed, and its meter and ceilings are inventions. The page
says so beside each figure that was drawn from it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path

from steelyard import plugins
from steelyard.core.run import Manifest, Run
from steelyard.render.drawing import Figure, Picture, pictures
from steelyard.render.output import save
from steelyard.store import open_run, read_manifest
from steelyard.tables.build import build
from steelyard.tracing.figures import FIGURES
from steelyard.tracing.report import build_traced
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.quantized import quantized
from tests.fakes.runs import BACKENDS, EFFECT, llm_points, synthetic_run
from tests.fakes.streamed import streamed_points

ROOT = Path(__file__).parents[2]
COMMAND = "bench report {run} --format figures --output gallery"
STAND_IN_COMMAND = "make gallery"
STAND_IN = (
    "**Drawn from a stand-in by `{command}`; nothing in it was measured.** No published run has data for it: {reason}."
)
REAL = "`{command}` makes `gallery/figures/{name}.pdf`."

_PAGE = """# Gallery

Every figure that a report draws, where it has the data from the published run of the suite `llm` on a virtual machine
with 2 cores of an {device} ([its data](../{run})), else from another published run. One command makes all of a run, as
PDF with embedded TrueType, SVG and PNG, each with its data as CSV and its caption as TeX:

```sh
{command}
```

`--venue icml|neurips|mlsys|acm|ieee|usenix|thesis|slides` draws them in the width, type size and typeface of a venue;
the source of each width stands in [venue.py](../steelyard/render/venue.py), and how figures go into a paper in
[paper.md](paper.md). A figure is one file in `reports/figures/`.
Colours are told apart in grey and by colour-blind readers; markers and line styles say the same again.

A figure that no published run has data for is drawn from a synthetic run ([tests/fakes](../tests/fakes)), says so,
and shows only what such a figure looks like. `{stand_in}` draws this page anew.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure and the published run that it is of; of a stand-in `run` is None, and `reason` why no run has it."""

    picture: Picture
    run: Path | None
    reason: str = ""


def published() -> list[tuple[Path, Manifest]]:
    """The published runs, the newest of the suite `llm` first: what it has data for is drawn of it."""
    found = [(path.parent, read_manifest(path.parent)) for path in (ROOT / "results/published").glob("*/manifest.json")]
    newest = sorted(found, key=lambda each: each[0].name, reverse=True)
    return sorted(newest, key=lambda each: each[1].suite != "llm")


def _traced(manifest: Manifest) -> bool:
    return any(case.scenario == "traced" for case in manifest.cases)


def figures() -> Mapping[str, Figure]:
    """Every figure by its name: those of a run, and those of a traced run."""
    return {**plugins.figures(), **{figure.name: figure for figure in FIGURES}}


def stand_in() -> Run:
    """A synthetic run over a sweep of batches, with an invented meter and invented ceilings."""
    run = synthetic_run(
        backends=(*BACKENDS, "onnxruntime[int8]", "openvino[int4_weights]"),
        effect={**EFFECT, "onnxruntime[int8]": 0.2, "openvino[int4_weights]": 0.3},
        points=(*llm_points(batches=(1, 4, 16)), *streamed_points((1, 2, 4, 8), (2, 8, 32))),
        ladder=("eager", "inductor", "xla"),
    )
    return held_against(metered_run(quantized(run)), synthetic_ceilings(peak={"float32": 2e12}))


def drawn(*, saved: bool) -> Mapping[str, Drawn]:
    """Every figure, of the first published run that has data for it, else of the stand-in."""
    found: dict[str, Drawn] = {}
    reasons: dict[str, str] = {}
    for path, manifest in published():
        traced = _traced(manifest)
        kinds = FIGURES if traced else plugins.figures().values()
        left = [figure for figure in kinds if figure.name not in found]
        if not left:
            continue
        data = build_traced(open_run(path)) if traced else build(open_run(path))
        for item in pictures(left, data, saved=saved):
            if item.reason:
                reasons.setdefault(item.name, item.reason)
            else:
                found[item.name] = Drawn(picture=item, run=path)
    missing = [figure for name, figure in plugins.figures().items() if name not in found]
    for item in pictures(missing, build(stand_in()), saved=saved) if missing else ():
        found[item.name] = Drawn(picture=item, run=None, reason=reasons[item.name])
    return found


def page(every: Mapping[str, Drawn]) -> str:
    """docs/gallery.md."""
    path, manifest = published()[0]
    run = path.relative_to(ROOT).as_posix()
    parts = [
        _PAGE.format(run=run, device=manifest.device.name, command=COMMAND.format(run=run), stand_in=STAND_IN_COMMAND)
    ]
    for name, figure in sorted(figures().items()):
        about = (getdoc(type(figure)) or "").partition("\n\n")[0].replace("\n", " ")
        parts.append(f"## {figure.title}\n\n![{figure.title}](figures/{name}.png)\n\n{about}\n")
        each = every[name]
        if each.run is None:
            parts.append(STAND_IN.format(command=STAND_IN_COMMAND, reason=each.reason) + "\n")
        else:
            command = COMMAND.format(run=each.run.relative_to(ROOT).as_posix())
            parts.append(REAL.format(command=command, name=name) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write pictures and page; returns 0."""
    every = drawn(saved=True)
    for name, each in every.items():
        if each.picture.reason:
            raise ValueError(f"figure {name} is drawn from nothing: {each.picture.reason}")
        print(save(ROOT / f"docs/figures/{name}.png", each.picture.png))
    print(save(ROOT / "docs/gallery.md", page(every)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
