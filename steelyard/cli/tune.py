"""`bench tune`: a faster variant of one program searched, and what the search was worth."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from steelyard.service.tried import Limit
    from steelyard.service.tuning import Tuned


def tune(
    context: typer.Context,
    budget: Annotated[
        str, typer.Option(help="How far to search: trials, as in 500, or their time, as in 30m; with earlier ones.")
    ] = "30m",
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Tune one workload on one backend, with the options of bench run: bench tune --suite kernels --workload matmul
    --backend onnxruntime --budget 10m.

    Every candidate is checked before it is timed. The best one is then measured in turns with the untuned backend and
    --baseline, as bench run does. The same command goes on where it was ended. Exit code 0; 130 if interrupted; 2 for
    what cannot be tuned; 3 if the last run was not sound.
    """
    from steelyard.cli.exit_codes import INTERRUPTED
    from steelyard.cli.options import run_options
    from steelyard.cli.output import print_json
    from steelyard.cli.passed_on import params_of_run
    from steelyard.cli.tables import print_report_table
    from steelyard.core.errors import UsageError
    from steelyard.service.asked import request_of
    from steelyard.service.reporting import reported
    from steelyard.service.screen import Screen
    from steelyard.service.tuning import tune as tuned
    from steelyard.service.tuning_report import tables_of, tuning_written

    params = params_of_run(context)
    if params["scenario"] != "single-stream":
        raise UsageError("bench tune times single calls: leave --scenario out")
    with Screen(as_json=False) as screen:
        request = request_of(**run_options(params))
        found = tuned(
            request,
            _limit(budget),
            params["output"],
            screen,
            weights=params["weights"],
            say=lambda line: typer.echo(line, err=True),
        )
    if found.run is not None:
        typer.echo(f"run: {found.run}", err=True)
        for line in reported(found.run):
            typer.echo(line, err=True)
    for line in tuning_written(found):
        typer.echo(line, err=True)
    if json:
        print_json("tuning", _data(found))
    else:
        for table in tables_of(found):
            print_report_table(table)
            typer.echo("")
    if found.outcome != "sound":
        sys.exit(INTERRUPTED if found.outcome == "interrupted" else 3)


def _limit(text: str) -> "Limit":
    from steelyard.core.errors import UsageError
    from steelyard.core.quantity import seconds_of
    from steelyard.service.tried import Limit

    if not text.isdecimal():
        return Limit(seconds=seconds_of(text))
    if int(text) < 1:
        raise UsageError("--budget 0 tries nothing: write a number of trials, as 500, or a time, as 30m")
    return Limit(trials=int(text))


def _data(found: "Tuned") -> dict[str, Any]:
    return {
        "search": found.search,
        "trials": found.trials,
        "steps": found.steps,
        "untuned": found.untuned,
        "tuned": found.tuned,
        "comparisons": found.comparisons,
        "latencies": found.latencies,
        "run": None if found.run is None else str(found.run),
    }
