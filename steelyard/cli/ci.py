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


@app.command("compare")
def compare(
    base: Annotated[str, typer.Option(metavar="REF", help="The commit, branch or tag to compare with.")],
    backend: Annotated[str, typer.Option(help="The backend that the project is, for example mypkg.runner:Runner.")],
    project: Annotated[Path, typer.Option(help="A folder of the project's repository.")] = Path(),
    suite: Annotated[str, typer.Option(help="The suite to run.")] = "llm",
    size: Annotated[str | None, typer.Option(help="Model size: tiny, small or full. Default: by device.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only these workloads (comma lists allowed).")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Values of an axis, e.g. --set batch=1,8.")] = None,
    device: Annotated[str | None, typer.Option(help="The device. Default: the best present.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of both. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    time: Annotated[str | None, typer.Option(help="Stop before this much time has passed, e.g. 20m.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="At most so many rounds after the cold one.")] = None,
    window: Annotated[float, typer.Option(min=0.01, help="Seconds of timed calls per case and launch.")] = 2.0,
    fail_on: Annotated[
        str, typer.Option(help="slower, inconclusive, or both as a comma list: exit with 1 or 4.")
    ] = "slower",
    package: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="PACKAGE", help="Install this beside the project; may be repeated."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Install a commit of a project and what is there now side by side, and measure both in one run, in turns.

    Exit code 1 where the project became slower (--fail-on), 3 where a case failed, 4 where --fail-on asks for
    a verdict and there is none.
    """
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.options import axes_of
    from steelyard.cli.running import new_run
    from steelyard.cli.verdicts import exit_code, verdicts_of
    from steelyard.service.asked import request_of
    from steelyard.service.comparing import comparisons
    from steelyard.service.two_commits import installed
    from steelyard.store import find_run, open_run

    wanted = verdicts_of(fail_on)
    before, after = installed(
        project, base, backend, say=lambda text: typer.echo(text, err=True), packages=package or ()
    )
    request = request_of(
        suite=suite,
        backends=(before.text, after.text),
        baseline=before.text,
        device=device,
        size=size,
        workloads=workload or (),
        axes=axes_of(set_ or []),
        threads=threads,
        cpus=cpus,
        time=time,
        rounds=rounds,
        window=window,
    )
    with ended_only_when_asked():
        code = new_run(request, output, weights=None, dry_run=False, report=True, json=False)
    if code in (0, 3):
        (found,) = comparisons([[open_run(find_run(output, "latest"))]])
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
    output: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Run, keep what it says in the history, and where a series became slower measure old and new version in turns.

    Takes the options of bench run. Exit code 1 where a slower version was confirmed, 3 where a case failed.
    """
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.options import run_options
    from steelyard.cli.passed_on import params_of_run
    from steelyard.cli.running import new_run
    from steelyard.core.quantity import seconds_of
    from steelyard.history import record
    from steelyard.history.changes import told
    from steelyard.history.nights import nights_of
    from steelyard.service.asked import request_of
    from steelyard.service.confirming import confirm as confirmed
    from steelyard.store import find_run, open_run

    time_s, target = seconds_of(confirm), file or output / record.NAME
    asked = run_options(params_of_run(context))
    with ended_only_when_asked():
        weights = asked["weights"]
        code = new_run(request_of(**asked), output, weights=weights, dry_run=False, report=True, json=False)
        if code not in (0, 3):
            sys.exit(code)
        run = open_run(find_run(output, "latest"))
        record.append(target, nights_of(run))
        slower = [
            change
            for series in told(record.read(target))
            for change in series.changes
            if change.matters and change.word == "slower" and change.after.since.run in series.newest(recent)
        ]
        alarms = confirmed(slower, run.manifest, output, time_s=time_s, say=lambda text: typer.echo(text, err=True))
    _tell_alarms(alarms)
    sys.exit(code or any(alarm.outcome == "confirmed" for alarm in alarms))


def _tell_alarms(alarms: "Sequence[Alarm]") -> None:
    from steelyard.cli.shown import with_interval

    lines = ["No series became slower."]
    if alarms:
        lines = ["| series | since | old version's time / new one's | measured again |", "|---|---|---|---|"]
    for alarm in alarms:
        series, since = alarm.change.series, alarm.change.after.since.created_utc[:10]
        what = f"{series.arm}, {series.title}, {series.metric.removesuffix('_s')}"
        lines.append(f"| {what} | {since} | {with_interval(alarm.speedup)} | {alarm.outcome}: {alarm.told} |")
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
