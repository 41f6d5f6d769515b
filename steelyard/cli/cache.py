"""`bench cache`: what lowering keeps on disk, its size, its removal, its soundness."""

from typing import Annotated

import typer

from steelyard.cli.output import print_json, print_table

app = typer.Typer(help="The cache of weights, artifacts and references.", no_args_is_help=True, rich_markup_mode=None)

_Json = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]


@app.command("ls")
def ls(json: _Json = False) -> None:
    """List the entries, those used longest ago first, and the space they take."""
    from steelyard.lowering.cache import Cache, cache_root
    from steelyard.lowering.cached import Entry, Flaw, size_bytes

    cache = Cache(cache_root())
    found = list(cache.entries())
    entries = sorted((entry for *_, entry in found if isinstance(entry, Entry)), key=lambda entry: entry.used_at_s)
    flaws = {f"{kind}/{key}": entry for kind, key, entry in found if isinstance(entry, Flaw)}
    damaged = [name for name, flaw in flaws.items() if not flaw.closed]
    closed = {name: flaw.reason for name, flaw in flaws.items() if flaw.closed}
    total = size_bytes(entries)
    if json:
        fields = [
            {
                "entry": f"{entry.kind}/{entry.key}",
                "label": entry.manifest.label,
                "size_bytes": size_bytes([entry]),
                "used_at_s": entry.used_at_s,
                "made_with": entry.manifest.made_with,
                "build_s": entry.manifest.seconds,
            }
            for entry in entries
        ]
        facts = {"root": str(cache.root), "size_bytes": total, "entries": fields, "damaged": damaged, "closed": closed}
        print_json("cache", facts)
        return
    print_table(
        f"{cache.root}: {_size(total)}, shared files counted once",
        ("kind", "entry", "what", "size"),
        [(each.kind, each.key[:12], each.manifest.label, _size(size_bytes([each]))) for each in entries],
        right=("size",),
    )
    for name in damaged:
        typer.echo(f"{name}: damaged, will be built anew")
    for name, reason in closed.items():
        typer.echo(f"{name}: {reason}")


@app.command("clean")
def clean(
    keep: Annotated[str, typer.Option(help="The size to keep, e.g. 20GB, 500MiB or 0.")],
    json: _Json = False,
) -> None:
    """Remove the entries used longest ago until at most SIZE remains. Damaged ones and leavings go too; what other
    users have made stays."""
    from steelyard.core.quantity import bytes_of
    from steelyard.lowering.cache import Cache, cache_root
    from steelyard.lowering.cached import Entry, size_bytes

    cache = Cache(cache_root())
    removed = cache.clean(bytes_of(keep))
    left = size_bytes([entry for *_, entry in cache.entries() if isinstance(entry, Entry)])
    others = cache.others()
    if json:
        fields = {"root": str(cache.root), "removed": removed, "others": others, "size_bytes": left}
        print_json("cache-clean", fields)
        return
    for name in removed:
        typer.echo(f"removed {name}")
    for name, owner in others.items():
        typer.echo(f"left {name}: it belongs to {owner}, who alone may remove it")
    typer.echo(f"{len(removed)} entries removed, {_size(left)} left")


@app.command("verify")
def verify(json: _Json = False) -> None:
    """Hash every file again. Exits 1 if something is damaged, and built anew when it is next needed, or closed."""
    from steelyard.lowering.cache import Cache, cache_root

    cache = Cache(cache_root())
    count = len(list(cache.entries()))
    flaws = cache.verify()
    damaged = {name: flaw.reason for name, flaw in flaws.items() if not flaw.closed}
    closed = {name: flaw.reason for name, flaw in flaws.items() if flaw.closed}
    if json:
        fields = {"root": str(cache.root), "entries": count, "damaged": damaged, "closed": closed}
        print_json("cache-verify", fields)
    else:
        for name, reason in damaged.items():
            typer.echo(f"{name}: {reason}; it will be built anew")
        for name, reason in closed.items():
            typer.echo(f"{name}: not verified: {reason}")
        typer.echo(f"{count} entries, {len(damaged)} damaged")
    if flaws:
        raise typer.Exit(1)


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
