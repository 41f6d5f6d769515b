"""What each text format makes of two small synthetic runs, kept under tests/reports/golden so that a change is seen.

    make golden        # writes them anew; the difference is part of what is reviewed

A golden file holds all files of one format, each below a line with its name. Numbers have at most 10 significant
digits there: the last ones that CSV prints depend on which instructions the processor has for a logarithm.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from steelyard import plugins
from steelyard.core.run import LeftOut, Run
from steelyard.render.drawing import pictures
from steelyard.render.output import ReportInputs, save
from steelyard.tables.build import build
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

FOLDER = Path(__file__).parent / "golden"
FORMATS = ("csv", "latex", "markdown", "typst")
NAME = "mine_100%[a&b=#1]"
"""A backend's name that no format may print as it stands."""

_TABLES = {
    "quiet": ("speed-decode", "speed-generate", "energy", "coverage"),
    "noisy": ("speed-decode", "energy", "segments"),
}
_REPEATED = {
    "quiet": re.compile(r"csv/all|latex/(captions|tabulars)/(?!speed-decode|figure-)"),
    "noisy": re.compile(r"latex/(captions|tabulars)/"),
}
"""Files that hold nothing that another does not: of one table, or of one run, they are kept."""
_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?(?![\w.])")
_DIGITS = 10


def quiet() -> Run:
    """A run with all there is to say: two that tie, a crash, a fallback, one that is unsteady, one that is timed
    at another layer, a backend left out, one above a ceiling, a meter, a name to be escaped."""
    run = synthetic_run(
        backends=("eager", "xla", "onnxruntime", "openvino", "inductor", "mine"),
        points=llm_points(("decode", "generate")),
        headline="decode",
        effect={"xla": 0.5, "onnxruntime": 0.5, "openvino": 0.7, "inductor": 0.9, "mine": 0.8, "xla|generate": 0.02},
        statuses={
            ("openvino", "decode"): Outcome(status="crashed", reason="signal 11", log_tail="50 % & more_"),
            ("inductor", "generate"): Outcome(status="fallback", stage="check", reason="3 of 97 nodes ran elsewhere"),
            ("onnxruntime", "generate"): Outcome(
                status="timed_out", stage="compile", reason="after 600 s", rounds=(2,)
            ),
        },
        shape=Shape(calls=12, generate_calls=4, cut=2, overrides={("inductor", "decode"): "none"}),
        left_out=(LeftOut(backend="tensorrt", reason="no CUDA device"),),
    )
    elsewhere = {("mine", case.id) for case in run.manifest.cases if case.point.workload == "generate"}
    run = replace(
        run,
        results=tuple(
            replace(result, measurements=tuple(replace(each, layer="api_wall") for each in result.measurements))
            if (result.arm, result.case_id) in elsewhere
            else result
            for result in run.results
        ),
    )
    return held_against(metered_run(_named(run, "mine", NAME)), synthetic_ceilings())


def noisy() -> Run:
    """A run on a machine of grade F: every number stands, every verdict is withheld; no meter."""
    return synthetic_run(
        backends=("eager", "xla"),
        points=llm_points(("decode",), batches=(1, 8)),
        headline="decode",
        effect={"xla": 0.5},
        shape=Shape(calls=12, cut=2),
        grade="F",
        evidence=("F: 12 % of the time was stolen; ask for a host without other guests",),
        left_out=(),
    )


def _named(run: Run, old: str, new: str) -> Run:
    """The run, the arm `old` under another label."""
    arms = tuple(replace(arm, label=new) if arm.label == old else arm for arm in run.manifest.arms)
    results = tuple(replace(result, arm=new) if result.arm == old else result for result in run.results)
    launches = tuple(replace(launch, arm=new) if launch.arm == old else launch for launch in run.launches)
    return replace(run, manifest=replace(run.manifest, arms=arms), results=results, launches=launches)


def golden_files() -> Iterator[tuple[str, str]]:
    """The name and the text of each golden file, made from the runs as a report makes them."""
    for name, run in (("quiet", quiet()), ("noisy", noisy())):
        data = build(run)
        # The captions and sizes of two figures; what they look like is held elsewhere.
        figures = [plugins.figures()[figure] for figure in ("energy", "speedup")]
        drawn = pictures(figures, data, saved=False, processes=1)
        data = replace(data, tables=tuple(data.table(table) for table in _TABLES[name]))
        for format_ in FORMATS:
            yield f"{name}-{format_}.txt", _text(format_, ReportInputs(data=data, pictures=drawn), _REPEATED[name])


def _text(format_: str, inputs: ReportInputs, left_out: re.Pattern[str]) -> str:
    """The text files of a format as one, in the order of their names."""
    with tempfile.TemporaryDirectory() as folder:
        written = plugins.reports()[format_].write(inputs, Path(folder))
        texts = {
            path.relative_to(folder).as_posix(): path.read_bytes().decode()
            for path in written
            if path.suffix not in (".pdf", ".svg")
        }
    texts = {name: text for name, text in texts.items() if not left_out.match(name)}
    whole = "\n".join(f"==> {name} <==\n{text}" for name, text in sorted(texts.items()))
    return _NUMBER.sub(_shortened, whole) if format_ == "csv" else whole


def _shortened(number: re.Match[str]) -> str:
    """A number of more digits than are kept, with those."""
    digits = number[0].partition("e")[0].replace(".", "").lstrip("0")
    return number[0] if len(digits) <= _DIGITS else f"{float(number[0]):.{_DIGITS}g}"


def main() -> int:
    """Write every golden file, or into the folder given; returns 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, text in golden_files():
        print(save(folder / name, text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
