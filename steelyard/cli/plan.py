"""`bench plan`: a run divided into shards, a file for each machine."""

from pathlib import Path
from typing import Annotated

import typer


def plan(
    context: typer.Context,
    shards: Annotated[int, typer.Option(min=1, help="Into how many parts the configurations are divided.")],
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where a file for each shard goes.")],
    kind: Annotated[
        str, typer.Option("--for", metavar="KIND", help="Plan for another kind of device than is here, e.g. cuda.")
    ] = "",
) -> None:
    """Divide a run into shards, with the options of bench run: bench plan --suite vision --shards 4 -o plan/.

    Then, on each machine, bench run --shard plan/1.json; and bench fleet gather plan/ makes one run of theirs.
    """
    from dataclasses import replace
    from typing import get_args

    from steelyard import plugins
    from steelyard.cli.options import run_options
    from steelyard.cli.output import printable
    from steelyard.cli.passed_on import params_of_run
    from steelyard.core.backend import DeviceKind
    from steelyard.core.errors import unknown_name
    from steelyard.core.workload import Selection
    from steelyard.lowering.points import points_of
    from steelyard.service.asked import request_of
    from steelyard.service.sharding import divide, write
    from steelyard.tables.format import counted

    if kind and kind not in get_args(DeviceKind):
        raise unknown_name("kind of device", kind, get_args(DeviceKind))
    asked = run_options(params_of_run(context))
    request = request_of(**{**asked, "device": "cpu"} if kind else asked)
    chosen = request.selection
    if kind:
        chosen = replace(chosen, device_kind=kind, device_memory_bytes=None)
    selection: Selection = chosen
    stored = {**asked, "device": asked["device"] or (f"{kind}:0" if kind and kind != "cpu" else request.device.id)}
    for name in ("weights", "meter"):
        stored[name] = stored[name] and str(stored[name])
    found = divide(stored, points_of(plugins.suite(request.suite), selection), shards)
    for shard, file in zip(found, write(found, folder), strict=True):
        typer.echo(printable(f"{file}: {counted(len(shard.points), 'configuration')}: {'; '.join(shard.titles)}"))
