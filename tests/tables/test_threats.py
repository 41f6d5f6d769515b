"""Threats to validity: each sentence stands exactly where its fact holds."""

import dataclasses
from collections.abc import Callable

import pytest
from steelyard.reports.markdown import escape

from steelyard import plugins
from steelyard.core.aa_counts import AaCounts, AaRow, Rate
from steelyard.core.comparison import Interval
from steelyard.core.metrics import Reading
from steelyard.core.run import LeftOut, Run
from steelyard.render.output import ReportInputs
from steelyard.tables import latex
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.threats import MOST, threats
from tests.fakes.runs import Outcome, llm_points, synthetic_run, with_clock

PAIR = ("eager", "xla")


def run_of(**given) -> Run:
    return synthetic_run(**{"backends": PAIR, "effect": {"xla": 0.5}, "left_out": (), **given})


def text(run: Run) -> str:
    return " ".join(threats(gather(run)).sentences)


def with_environment(**facts) -> Run:
    run = run_of()
    environment = {**run.manifest.environment, **facts}
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, environment=environment))


def with_budget(**facts) -> Run:
    run = run_of()
    budget = dataclasses.replace(run.manifest.budget, **facts)
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, budget=budget))


def contaminated() -> Run:
    run = run_of()
    (segment,) = run.segments
    return dataclasses.replace(run, segments=(dataclasses.replace(segment, disturbed={3: "a program ran"}),))


def metered() -> Run:
    run = run_of()
    results = tuple(
        dataclasses.replace(r, energy=Reading(value=1.5, unit="J", method="RAPL")) if r.round else r
        for r in run.results
    )
    return dataclasses.replace(run, results=results)


def seeded() -> Run:
    def draw(program):
        return dataclasses.replace(program, weights=dataclasses.replace(program.weights, origin="seeded"))

    points = [
        dataclasses.replace(point, programs={name: draw(program) for name, program in point.programs.items()})
        for point in llm_points(model="llama")
    ]
    return run_of(points=points)


def calibrated(condition: str = "quiet", version: str = "0.10.2") -> Run:
    rate = Rate(count=1, of=200, interval=Interval(low=0.0, high=0.03, confidence=0.95))
    counts = {field.name: 1 for field in dataclasses.fields(AaRow) if field.name not in ("backend", "rates")}
    row = AaRow(backend="all", rates=dict.fromkeys(("guarded_false_alarms", "withheld"), rate), **counts)
    counts = AaCounts(
        machine="m",
        machine_key="k",
        condition=condition,
        created_utc="2026-01-01T00:00:00Z",
        tool_version="0.1.0",
        rounds=8,
        window_s=1.0,
        threads=2,
        planned=200,
        rows=(),
        all=row,
        versions={"jax": version},
        grades={"A": 1},
    )
    run = with_environment(packages={"jax": "0.10.2"})
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, calibration=counts))


def without_cold() -> Run:
    run = run_of()
    return dataclasses.replace(run, results=tuple(r for r in run.results if r.round))


CASES: dict[str, tuple[str, Callable[[], Run], Callable[[], Run]]] = {
    "virtual": (
        "It is a virtual machine",
        lambda: with_environment(virtualisation={"hypervisor": True}),
        lambda: with_environment(virtualisation={"hypervisor": False}),
    ),
    "not known whether virtual": (
        "Whether it is a virtual machine is not known.",
        lambda: with_environment(virtualisation={"value": None, "reason": "no /proc"}),
        lambda: with_environment(virtualisation={"hypervisor": False}),
    ),
    "noisy": (
        "noise grade C, where A is the best): steal of 3 %.",
        lambda: run_of(grade="C", evidence=("C: steal of 3 %; choose another host", "B: warm; let it cool")),
        lambda: run_of(grade="B", evidence=("steal of 3 %",)),
    ),
    "withheld": ("withheld because the machine was too noisy.", lambda: run_of(grade="F"), run_of),
    "clock shared": (
        "The clock of the measured CPUs moved: the typical launch was 20 % slower than the fastest, which all backends "
        "of a round share; no number is corrected for it.",
        lambda: with_clock(run_of(), lambda launch: 10.0 if launch.round == 3 else 8.0),
        lambda: with_clock(run_of(), lambda launch: 10.0 if launch.round == 3 else 9.9),
    ),
    "clock of one launch": (
        "two launches of one round differed by 10 %, which is in the ratio of the two; no number is corrected for it.",
        lambda: with_clock(run_of(), lambda launch: 10.0 if launch.arm == "eager" else 9.0),
        run_of,
    ),
    "contaminated": ("Left out of all times: 1 round contaminated", contaminated, run_of),
    "no control arm": ("There was no control arm", lambda: run_of(control=False), run_of),
    "launches": ("Estimates rest on 8 launches of each backend in 1 session:", run_of, lambda: run_of(rounds=5)),
    "sessions": (
        "launches of each backend in 2 sessions:",
        lambda: run_of(segments=((0, 1, 2, 3), (4, 5, 6, 7, 8))),
        run_of,
    ),
    "no time": (
        "No launch gave a time",
        lambda: run_of(statuses={(arm, p.workload): Outcome(status="crashed") for arm in PAIR for p in llm_points()}),
        run_of,
    ),
    "seeded": ("The weights of llama are seeded random numbers", seeded, run_of),
    "static shapes": ("All shapes were static", run_of, lambda: with_budget(shapes="dynamic")),
    "one batch": (
        "Only the batch size 1 was measured.",
        run_of,
        lambda: run_of(points=llm_points(("decode",), batches=(1, 8)), headline="decode"),
    ),
    "tuning": ("options of the tuning max and with 2 threads", lambda: run_of(tuning="max"), run_of),
    "one cold launch": ("(n = 1) and have no interval.", run_of, without_cold),
    "no energy": ("Energy was not measured (no energy counter on this machine)", run_of, metered),
    "left out": (
        "Left out were tensorrt (no CUDA device).",
        lambda: run_of(left_out=(LeftOut(backend="tensorrt", reason="no CUDA device"),)),
        run_of,
    ),
    "left out of one workload": (
        "Left out were xla on decode (too large).",
        lambda: run_of(left_out=(LeftOut(backend="xla", reason="too large", point=llm_points()[1].key),)),
        run_of,
    ),
    "not ok": (
        "Not every launch ended ok: xla on decode (out of memory);",
        lambda: run_of(statuses={("xla", "decode"): Outcome(status="out_of_memory")}),
        run_of,
    ),
    "families": (
        "are adjusted for their family",
        run_of,
        lambda: run_of(points=llm_points(("decode",)), headline="decode"),
    ),
    "exploratory": (
        "Exploratory verdicts are leads",
        run_of,
        lambda: run_of(points=llm_points(("decode",)), headline="decode"),
    ),
    "rate not known": ("is not known: it was not measured.", run_of, calibrated),
    "rate known": ("of 200 comparisons of a program with itself on this machine, 1 gave a false", calibrated, run_of),
    "rate beside a load": ("beside a background load on one core", lambda: calibrated("neighbour"), calibrated),
    "rate of other versions": ("with other versions", lambda: calibrated(version="0.9"), calibrated),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sentence_stands_exactly_where_its_fact_holds(case):
    sentence, holds, does_not = CASES[case]
    assert sentence in text(holds())
    assert sentence not in text(does_not())


def test_a_long_list_ends_with_the_number_of_those_not_named():
    left = tuple(LeftOut(backend=f"b{number}", reason="none here") for number in range(MOST + 3))
    told = text(run_of(left_out=left))
    assert f"b{MOST - 1} (none here) and 3 more." in told
    assert f"b{MOST} " not in told


def test_sentences_are_whole():
    for run in (run_of(), contaminated(), seeded(), calibrated("neighbour", "0.9"), run_of(grade="F", control=False)):
        for sentence in threats(gather(run)).sentences:
            assert sentence[0].isupper() or sentence[0].isdigit(), sentence
            assert sentence.endswith("."), sentence
            assert ".." not in sentence, sentence


def test_every_text_report_carries_the_paragraph(tmp_path):
    data = build(run_of(grade="C", evidence=("steal of 3 % & more",)))
    (paragraph,) = [entry for entry in data.paragraphs if entry.name == "threats"]
    whole = " ".join(paragraph.sentences)
    for name in ("latex", "markdown", "html"):
        plugins.reports()[name].write(ReportInputs(data=data), tmp_path)
    assert (tmp_path / "latex/paragraphs/threats.tex").read_text() == latex.flowing(whole) + "\n"
    assert r"\input{\SyRoot/paragraphs/threats}" in (tmp_path / "latex/all.tex").read_text()
    assert escape(whole) in (tmp_path / "report.md").read_text()
    page = next(tmp_path.glob("*.html")).read_text()
    assert '<section id="threats">' in page
    assert "steal of 3 % &amp; more" in page
