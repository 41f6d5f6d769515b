"""`bench score`: kernels that somebody, or something, has written: built, right at shapes nobody knew, then fast."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from steelyard.core.comparison import Estimate
    from steelyard.service.scoring import Scores

_FASTER = (0.0, 1.0, 1.5, 2.0)


def score(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A module for each kernel: DIR/softmax.py.")],
    hidden: Annotated[
        int, typer.Option(min=1, help="At so many shapes, drawn anew, a kernel must be right before it is timed.")
    ] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Score the kernels of a folder, with the options of bench run: bench score generated/ --size small --time 10m.

    Each module has the name of a workload of the suite (kernels, unless --suite says otherwise) and a function of the
    same name. Shapes are drawn by --seed, which is random where it is not given and printed. Exit code 0, whatever
    became of the kernels; 130 if interrupted; 2 for what cannot be scored.
    """
    import secrets

    from steelyard.cli.exit_codes import INTERRUPTED
    from steelyard.cli.options import run_options
    from steelyard.cli.output import print_json, printable
    from steelyard.cli.passed_on import params_of_run
    from steelyard.core.errors import UsageError
    from steelyard.service.asked import request_of
    from steelyard.service.reporting import reported
    from steelyard.service.scoring import score as scored
    from steelyard.service.screen import Screen

    params = params_of_run(context)
    params["suite"] = params["suite"] if "--suite" in context.args else "kernels"
    params["seed"] = params["seed"] if "--seed" in context.args else secrets.randbelow(1 << 31)
    if params["backend"] or params["scenario"] != "single-stream":
        raise UsageError("bench score runs the kernels and their --baseline: leave --backend and --scenario out")
    with Screen(as_json=False) as screen:
        request = request_of(**run_options(params))
        found = scored(
            folder, request, params["output"], screen, hidden=hidden, say=lambda line: typer.echo(line, err=True)
        )
    for run in found.runs:
        typer.echo(f"run: {run}", err=True)
    for line in reported(found.runs[-1]):
        typer.echo(line, err=True)
    if json:
        print_json("score", _data(found))
    else:
        _print(found)
        typer.echo(printable(f"shapes drawn by --seed {found.seed}"))
    if found.outcome == "interrupted":
        sys.exit(INTERRUPTED)


def _data(found: "Scores") -> dict[str, Any]:
    return {
        "backend": found.backend,
        "baseline": found.baseline,
        "seed": found.seed,
        "kernels": [
            {
                "kernel": kernel.workload,
                "shapes": kernel.shapes,
                "right": kernel.right,
                "fault": kernel.fault,
                "speedup": kernel.speedup,
                "verdict": kernel.comparison and kernel.comparison.verdict,
            }
            for kernel in found.kernels
        ],
        "fast": {f"{p:g}": found.fast(p) for p in _FASTER},
        "runs": [str(run) for run in found.runs],
    }


def _print(found: "Scores") -> None:
    from steelyard.cli.output import print_table
    from steelyard.tables.format import counted

    rows = [
        (
            kernel.workload,
            f"{kernel.right} of {kernel.shapes}",
            _times(kernel.speedup),
            kernel.comparison.verdict if kernel.comparison and not kernel.fault else "",
            kernel.fault or (kernel.comparison.remark if kernel.comparison else ""),
        )
        for kernel in found.kernels
    ]
    columns = ("kernel", "right", f"speed-up over {found.baseline}", "verdict", "why")
    print_table(f"{found.backend}: {counted(len(rows), 'kernel')}", columns, rows, right=columns[1:3])
    shares = [(f"fast_{p:g}", _percent(found.fast(p))) for p in _FASTER]
    print_table("right, and more than p times as fast", ("fast_p", "of all kernels"), shares, right=("of all kernels",))


def _times(estimate: "Estimate | None") -> str:
    if estimate is None:
        return ""
    ends = estimate.interval
    return f"{estimate.value:.2f}x" + (f" ({ends.low:.2f} to {ends.high:.2f})" if ends else "")


def _percent(estimate: "Estimate | None") -> str:
    if estimate is None or estimate.interval is None:
        return ""
    return f"{estimate.value:.0%} ({estimate.interval.low:.0%} to {estimate.interval.high:.0%})"
