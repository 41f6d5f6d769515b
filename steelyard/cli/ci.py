"""`bench ci`: what a job of continuous integration asks: did this change, or a new version, make anything slower?"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.passed_on import PASSED_ON
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steelyard.core.comparison import Comparison
    from steelyard.service.confirming import Alarm

_IN_TEXTS = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
_IN_TITLES = {**_IN_TEXTS, ord(":"): "%3A", ord(","): "%2C"}

app = typer.Typer(
    help="For continuous integration: did a change, or a new version, make anything slower?",
    no_args_is_help=True,
    rich_markup_mode=None,
)


_Project = Annotated[Path, typer.Option(help="A folder of the project's repository.")]
_With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="PACKAGE", help="Install this beside the project; may be repeated."),
]
_Runs = Annotated[Path, typer.Option(help="Where runs are stored.")]


@app.command("compare", context_settings=PASSED_ON)
def compare(
    context: typer.Context,
    base: Annotated[str, typer.Option(metavar="REF", help="The commit, branch or tag to compare with.")],
    backend: Annotated[str, typer.Option(help="The backend that the project is, for example mypkg.runner:Runner.")],
    project: _Project = Path(),
    package: _With = None,
    fail_on: Annotated[
        str, typer.Option(help="slower, inconclusive, or both as a comma list: exit with 1 or 4.")
    ] = "slower",
    output: _Runs = RUNS,
) -> None:
    """Install a commit of a project and what is there now side by side, and measure both in one run, in turns.

    Takes the options of bench run. Exit code 1 where the project became slower (--fail-on), 3 where a case failed, 4
    where --fail-on asks for a verdict and there is none.
    """
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.verdicts import exit_code, verdicts_of
    from steelyard.service.comparing import comparisons
    from steelyard.service.two_commits import installed
    from steelyard.store import open_run

    wanted = verdicts_of(fail_on)
    with ended_only_when_asked():
        before, after = installed(project, base, backend, say=_say, packages=package or ())
        code, path = _run(context, output, backends=(before.text, after.text), baseline=before.text)
    if code in (0, 3):
        (found,) = comparisons([[open_run(path)]])
        _tell(found, base)
        code = code or exit_code(found, wanted)
    sys.exit(code)


@app.command("nightly", context_settings=PASSED_ON)
def nightly(
    context: typer.Context,
    confirm: Annotated[
        str, typer.Option(metavar="DURATION", help="How long old and new version are measured, where it is asked.")
    ] = "20m",
    recent: Annotated[int, typer.Option(min=1, help="How many last nights of a series are looked at.")] = 7,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The history. Default: history.jsonl among the runs.")
    ] = None,
    issues: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a Markdown file for each confirmed regression, its title first."),
    ] = None,
    output: _Runs = RUNS,
) -> None:
    """Run, keep what it says in the history, and where a series became slower measure old and new version in turns.

    Takes the options of bench run. Exit code 1 where a slower version was confirmed, 3 where a case failed.
    """
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.options import run_options
    from steelyard.cli.passed_on import params_of_run
    from steelyard.core.quantity import seconds_of
    from steelyard.history import record
    from steelyard.history.changes import told
    from steelyard.history.nights import nights_of
    from steelyard.service.confirming import Again
    from steelyard.service.confirming import confirm as confirmed
    from steelyard.service.regression_issues import write_issues
    from steelyard.store import open_run

    time_s, target = seconds_of(confirm), file or output / record.NAME
    with ended_only_when_asked():
        code, path = _run(context, output)
        if code not in (0, 3):
            sys.exit(code)
        run = open_run(path)
        record.append(target, nights_of(run))
        slower = [
            change
            for series in told(record.read(target))
            for change in series.changes
            if change.worth_repeating and change.word == "slower" and change.after.since.run in series.newest(recent)
        ]
        asked = run_options(params_of_run(context))
        again = Again(output=output, time_s=time_s, say=_say, weights=asked["weights"], wait=asked["wait"])
        alarms = confirmed(slower, run.manifest, again)
    _tell_alarms(alarms)
    if issues is not None:
        write_issues(alarms, issues)
    sys.exit(code or any(alarm.outcome == "confirmed" for alarm in alarms))


@app.command("bisect", context_settings=PASSED_ON)
def bisect(
    context: typer.Context,
    backend: Annotated[str, typer.Option(help="The backend that became slower.")],
    good: Annotated[str, typer.Option(metavar="VERSION", help="A version, or a commit, that was fast.")],
    bad: Annotated[str, typer.Option(metavar="VERSION", help="A later one that is slow.")],
    project: _Project = Path(),
    package: _With = None,
    output: _Runs = RUNS,
) -> None:
    """Find the first slow version of a runtime, or the first slow commit of a project: each step measures one version
    against the good one, in turns, and goes on by the verdict.

    A registered backend is looked at by versions of its package, one named by its module by commits of the project.
    Takes the options of bench run; --time is that of a step. Exit code 0 where it was found, 4 where a step could not
    be decided, 1 where the bad one is not slower.
    """
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.shown import with_interval
    from steelyard.service.bisecting import candidates, first_slow, judged
    from steelyard.tables.format import counted

    steps = candidates(backend, good, bad, project=project, packages=package or (), say=_say)
    typer.echo(
        f"{counted(len(steps) - 1, 'version')} after {good}, at most {len(steps).bit_length() + 1} runs", err=True
    )

    def judge(number: int) -> str:
        before, after = steps[0].spec(), steps[number].spec()
        code, path = _run(context, output, backends=(before.text, after.text), baseline=before.text)
        if code not in (0, 3):
            sys.exit(code)
        verdict, speedup, run_id = judged(path, after)
        typer.echo(f"{steps[number].name}: {verdict}, {good}'s time over its {with_interval(speedup)} ({run_id})")
        return verdict

    with ended_only_when_asked():
        number, said = first_slow(len(steps), judge)
    if number is None:
        typer.echo(said)
        sys.exit(1 if "not slower" in said else 4)
    typer.echo(f"first slow: {steps[number].name}; the last before it: {steps[number - 1].name}")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _run(context: typer.Context, output: Path, **instead: str | tuple[str, ...]) -> tuple[int, Path]:
    """Run with the options that were passed on, and some of our own in their place. Returns the exit code and where the
    run is. Raises NothingCompared, before anything is measured, where a backend of our own cannot run."""
    from steelyard.cli.options import run_options
    from steelyard.cli.passed_on import params_of_run
    from steelyard.cli.running import finish, measured
    from steelyard.core.errors import NothingCompared, UsageError
    from steelyard.engine.plan import make_plan
    from steelyard.service.asked import request_of

    options = run_options(params_of_run(context))
    if instead and options["ladder"]:
        raise UsageError("--ladder names backends, and what is compared here is an old and a new version of one")
    asked = {**options, **instead}
    plan = make_plan(request_of(**asked))
    reasons = {entry.backend: entry.reason for entry in plan.left_out if not entry.point}
    for backend in instead.get("backends", ()):
        if backend in reasons:
            raise NothingCompared(f"{backend} cannot run here, and nothing was measured: {reasons[backend]}")
    ended = measured(plan, output, weights=asked["weights"])
    return finish(ended, report=True), ended.path


def _tell_alarms(alarms: "Sequence[Alarm]") -> None:
    from steelyard.cli.shown import with_interval

    lines = ["No series became slower."]
    if alarms:
        lines = ["| series | since | old version's time / new one's | measured again |", "|---|---|---|---|"]
    for alarm in alarms:
        series, since = alarm.change.series, alarm.change.after.since.created_utc[:10]
        what = f"{series.arm}, {series.title}, {series.metric.removesuffix('_s')}"
        told = " ".join(alarm.told.split()).replace("|", "\\|")  # an installer's last words are lines
        lines.append(f"| {what} | {since} | {with_interval(alarm.speedup)} | {alarm.outcome}: {told} |")
    _summarise(lines)
    _annotate(
        "slower, confirmed",
        (
            f"{alarm.change.series.arm}, {alarm.change.series.title}: {alarm.told}"
            for alarm in alarms
            if alarm.outcome == "confirmed"
        ),
    )


def _tell(found: "Sequence[Comparison]", base: str) -> None:
    """The verdicts, without that of the control arm."""
    from steelyard.cli.shown import with_interval

    entries = [entry for entry in found if entry.factor != "control"]
    lines = [f"| configuration | metric | speed-up over {base} | verdict |", "|---|---|---|---|"]
    for entry in entries:
        metric, speedup = entry.metric.removesuffix("_s"), with_interval(entry.speedup)
        lines.append(f"| {entry.title} | {metric} | {speedup} | {entry.verdict} |")
    _summarise(lines)
    _annotate(
        f"slower than {base}",
        (
            f"{entry.title}, {entry.metric.removesuffix('_s')}: {with_interval(entry.speedup)}"
            for entry in entries
            if entry.verdict == "slower"
        ),
    )


def _summarise(lines: "Sequence[str]") -> None:
    """On standard output, and for a job of GitHub in its summary."""
    from steelyard.cli.output import printable

    text = printable("\n".join(lines))
    typer.echo(text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


def _annotate(title: str, texts: "Iterable[str]") -> None:
    """A note on the job's page for each, where this is a job of GitHub. Its commands are lines, with these escapes."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for text in texts:
        typer.echo(f"::error title={title.translate(_IN_TITLES)}::{text.translate(_IN_TEXTS)}", err=True)
