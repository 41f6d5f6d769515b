"""Draws every figure for docs/: from the published run, or from a stand-in where that has no data for it.

    make gallery        # writes docs/figures/*.png and docs/gallery.md

The stand-in is a synthetic run (tests/fakes): nothing was executed, and its meter and ceilings are inventions. The page
says so beside each figure that was drawn from it.
"""

import sys
from collections.abc import Mapping
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
from tests.fakes.runs import llm_points, synthetic_run

ROOT = Path(__file__).parents[2]
COMMAND = "bench report {run} --format figures --output gallery"
STAND_IN_COMMAND = "make gallery"
STAND_IN = (
    "**Drawn from a stand-in by `{command}`; nothing in it was measured.** Of the published run there is: {reason}."
)
REAL = "`{command}` makes `gallery/figures/{name}.pdf`."

_PAGE = """# Gallery

Every figure that a report draws, from the published run of the suite `llm` on a virtual machine with 2 cores of an
{device} ([its data](../{run})). One command makes all of them, as PDF with embedded TrueType, SVG and PNG, each with
its data as CSV and its caption as TeX:

```sh
{command}
```

`--venue icml|neurips|mlsys|acm|ieee|usenix|thesis|slides` draws them in the width, type size and typeface of a venue;
the source of each width stands in [venue.py](../steelyard/render/venue.py), and how figures go into a paper in
[paper.md](paper.md). A figure is one file in `reports/figures/`.
Colours are told apart in grey and by colour-blind readers; markers and line styles say the same again.

A figure that the published run has no data for is drawn from a synthetic run ([tests/fakes](../tests/fakes)), says so,
and shows only what such a figure looks like. `{stand_in}` draws this page anew.
"""


def published(*, traced: bool = False) -> Path:
    """The newest published run that was timed, or that was traced."""
    runs = {path.parent: read_manifest(path.parent) for path in (ROOT / "results/published").glob("*/manifest.json")}
    return max(path for path, manifest in runs.items() if _traced(manifest) == traced)


def _traced(manifest: Manifest) -> bool:
    return any(case.scenario == "traced" for case in manifest.cases)


def figures() -> Mapping[str, Figure]:
    """Every figure by its name: those of a run, and those of a traced run."""
    return {**plugins.figures(), **{figure.name: figure for figure in FIGURES}}


def stand_in() -> Run:
    """A synthetic run over a sweep of batches, with an invented meter and invented ceilings."""
    run = synthetic_run(points=llm_points(batches=(1, 4, 16)), ladder=("eager", "inductor", "xla"))
    return held_against(metered_run(run), synthetic_ceilings(peak={"float32": 2e12}))


def drawn(*, saved: bool) -> tuple[Mapping[str, Picture], Mapping[str, Picture]]:
    """Every figure of the published run, and of the stand-in those that the former has no data for."""
    real = {item.name: item for item in pictures(plugins.figures().values(), build(open_run(published())), saved=saved)}
    missing = [figure for name, figure in plugins.figures().items() if real[name].reason]
    real |= {i.name: i for i in pictures(FIGURES, build_traced(open_run(published(traced=True))), saved=saved)}
    fake = pictures(missing, build(stand_in()), saved=saved) if missing else ()
    return real, {item.name: item for item in fake}


def page(real: Mapping[str, Picture], fake: Mapping[str, Picture]) -> str:
    """docs/gallery.md."""
    run = published().relative_to(ROOT).as_posix()
    command = COMMAND.format(run=run)
    parts = [
        _PAGE.format(
            run=run, device=open_run(ROOT / run).manifest.device.name, command=command, stand_in=STAND_IN_COMMAND
        )
    ]
    traced = COMMAND.format(run=published(traced=True).relative_to(ROOT).as_posix())
    of_traced = {figure.name for figure in FIGURES}
    for name, figure in sorted(figures().items()):
        about = (getdoc(type(figure)) or "").partition("\n\n")[0].replace("\n", " ")
        parts.append(f"## {figure.title}\n\n![{figure.title}](figures/{name}.png)\n\n{about}\n")
        if name in fake:
            parts.append(STAND_IN.format(command=STAND_IN_COMMAND, reason=real[name].reason) + "\n")
        else:
            parts.append(REAL.format(command=traced if name in of_traced else command, name=name) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write pictures and page; returns 0."""
    real, fake = drawn(saved=True)
    for name, picture in {**real, **fake}.items():
        if picture.reason:
            raise ValueError(f"figure {name} is drawn from nothing: {picture.reason}")
        print(save(ROOT / f"docs/figures/{name}.png", picture.png))
    print(save(ROOT / "docs/gallery.md", page(real, fake)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
