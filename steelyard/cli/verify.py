"""`bench verify`: a run, a report or a bundle traced back to raw samples, and what cannot be."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import print_json, printable
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.artifact.verify import Verification

_WORDS = {"holds": "holds", "wrong": "WRONG", "untraced": "UNTRACED", "note": "note"}


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_REPORT",
            help="A run (path, id, beginning or end of an id, 'latest'), the folder of a report, or a bundle.",
        ),
    ],
    run: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="The run of a report that neither lies in it nor is found; repeated for a report of several runs.",
        ),
    ] = None,
    digest: Annotated[
        str | None, typer.Option(metavar="HEX", help="What a paper says of the run: its digest, or 12 digits of it.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FILE", help="A file that the report was written --with; may be repeated."),
    ] = None,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures/--no-figures",
            help="Draw figures again to compare their pictures, or hold only their numbers and captions against the "
            "run, which is faster.",
        ),
    ] = True,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of lines.")] = False,
) -> None:
    """Recompute every number from raw samples; check hashes, schema and report; list what cannot be traced.

    Exit code 0 if everything was traced, 1 if something does not hold or could not be traced.
    """
    done = _verified(what, run or [], digest, beside or [], runs, drawn=figures)
    if json:
        print_json(
            "verification",
            {
                "what": done.what,
                "run_id": None if done.run is None else done.run.manifest.run_id,
                "digest": None if done.run is None else done.run.digest,
                "whole": done.whole,
                "findings": done.findings,
            },
        )
    else:
        _print(done)
    sys.exit(0 if done.whole else 1)


def _verified(
    what: str, names: list[str], digest: str | None, beside: list[Path], runs: Path, *, drawn: bool
) -> "Verification":
    from steelyard.artifact.archive import SUFFIXES
    from steelyard.artifact.bundle import is_bundle
    from steelyard.artifact.receipt import read_receipt
    from steelyard.artifact.verify import is_run, opened, verify_across, verify_bundle, verify_report, verify_run
    from steelyard.core.errors import UsageError
    from steelyard.service.rendering import render_across, renderer
    from steelyard.store import find_run

    if missing := [str(path) for path in beside if not path.is_file()]:
        raise UsageError(f"--with {', '.join(missing)}: no such file")
    render = renderer(runs, beside, saved=drawn)
    path = Path(what)
    if path.is_file() and path.name.endswith(SUFFIXES):
        with opened(path) as root:
            return verify_bundle(root, render, digest, drawn=drawn)
    if path.is_dir() and is_bundle(path):
        return verify_bundle(path, render, digest, drawn=drawn)
    if path.is_dir() and not is_run(path):
        of = [find_run(runs, name) for name in names]
        made = read_receipt(path)
        if made is not None and made.across is not None:
            if digest is not None:
                raise UsageError("--digest is that of one run, and this report was made from several; verify each run")
            return verify_across(path, made, made.across, runs, of, render_across)
        if len(of) > 1:
            raise UsageError("--run: this report was made from one run; name that one")
        return verify_report(path, runs, render, digest, of[0] if of else None, drawn=drawn)
    return verify_run(find_run(runs, what), render, digest, drawn=drawn)


def _print(done: "Verification") -> None:
    if done.run is not None:
        typer.echo(f"run {printable(done.run.manifest.run_id)}, digest {done.run.digest or 'none yet'}")
    for finding in done.findings:
        typer.echo(printable(f"{_WORDS[finding.kind]:9} {finding.where}: {finding.text}"))
    wrong = sum(finding.kind == "wrong" for finding in done.findings)
    untraced = sum(finding.kind == "untraced" for finding in done.findings)
    if done.whole:
        typer.echo(f"{done.what}: everything was traced")
    else:
        typer.echo(f"{done.what}: {wrong} wrong, {untraced} untraced")
