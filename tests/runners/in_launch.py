"""A few lines of Python in a fresh process that holds a runner and the programs of the contract."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from steelyard import plugins, wire
from steelyard.contract.launch import ContractRequest
from steelyard.core.backend import Budget, Device, parse_backend

CPU = Device(kind="cpu", index=0, name="cpu", memory_bytes=None)


def launch(
    source: str,
    *,
    directory: Path,
    programs: Any,
    variables: dict[str, str] | None = None,
    backend: str,
    threads: int = 1,
) -> Any:
    """Run Python in a fresh process that holds `runner`, with so many threads, and `lowered`; what it prints last, as
    data."""
    asked = ContractRequest(
        backend=parse_backend(backend),
        device=CPU,
        budget=Budget(threads=threads, cpus=()),
        directory=str(directory),
        programs=programs,
    )
    for folder in (asked.context.compile_cache, asked.context.scratch):
        folder.mkdir(exist_ok=True)
    (directory / "request.json").write_bytes(wire.encode(asked))
    prelude = f"""
import dataclasses, json, sys
from pathlib import Path
from steelyard import plugins, wire
from steelyard.contract.launch import ContractRequest
request = wire.read(Path({str(directory / "request.json")!r}), ContractRequest)
lowered = request.programs
runner = plugins.runner(request.backend.runner)(request.context)
"""
    pinned = plugins.runner(asked.backend.runner).environment(asked.context)
    done = subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(source)],
        env={**os.environ, **pinned, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
