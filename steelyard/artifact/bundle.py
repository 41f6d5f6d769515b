"""The archive for artifact evaluation: what lies in it, made from a run alone, so that each file can be checked.

RUN_ID/README.md SHA256SUMS plan.json environment.json constraints.txt     written from the run
RUN_ID/run/...                                                             the run as it is stored
RUN_ID/report/...                                                          its report
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from steelyard import wire
from steelyard.artifact import sums
from steelyard.artifact.finding import Finding
from steelyard.artifact.readme import readme
from steelyard.artifact.rendered import Versions, compare_files
from steelyard.artifact.report_check import files_of, strangers_of
from steelyard.core.errors import StoreError
from steelyard.core.hashing import file_sha256
from steelyard.core.run import Run

RUN, REPORT = "run", "report"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_bundle(directory: Path) -> bool:
    """Whether a folder is an unpacked bundle."""
    return (directory / sums.NAME).is_file() and (directory / RUN / "manifest.json").is_file()


def contents(run: Run, path: Path, report: Mapping[str, bytes]) -> dict[str, bytes | Path]:
    """Every file of the bundle of the run stored at `path`, by its name below the bundle's folder.

    Raises StoreError for a run that is not whole.
    """
    if run.digest is None:
        raise StoreError(f"{path}: a segment is not published yet; bench run --resume publishes it")
    if not _NAME.fullmatch(run.manifest.run_id):
        raise StoreError(f"{path}: '{run.manifest.run_id}' cannot be the name of a folder")
    files: dict[str, bytes | Path] = {f"{RUN}/{name}": file for name, file in sums.run_files(path).items()}
    files |= {f"{REPORT}/{name}": data for name, data in report.items()}
    files |= written(run)
    digests = {name: _sha256(content) for name, content in files.items()}
    return {**files, sums.NAME: sums.sums_text(digests).encode()}


def written(run: Run) -> dict[str, bytes]:
    """The files that say in plain words and plain JSON what the run holds."""
    return {
        "README.md": readme(run).encode(),
        "plan.json": _json(_plan(run)),
        "environment.json": _json(run.manifest.environment),
        "constraints.txt": constraints(run).encode(),
    }


def constraints(run: Run) -> str:
    """The versions that ran, for `pip install --constraint`."""
    environment = run.manifest.environment
    packages = environment.get("packages")
    lines = [
        f"# What ran in {run.manifest.run_id}, under Python {environment.get('python', 'unknown')}.",
        "# A label after + names a build that its maker offers on an index of its own.",
    ]
    if not isinstance(packages, Mapping):
        return "\n".join([*lines, "# The run does not say which packages it used.", ""])
    lines += [f"{name}=={text}" for name, text in sorted(packages.items()) if isinstance(text, str)]
    return "\n".join([*lines, ""])


def check_files(root: Path, run: Run, versions: Versions) -> Iterator[Finding]:
    """A bundle's files against its SHA256SUMS, and those written from the run against the run."""
    found = files_of(root)
    links = [name for name, path in found.items() if path.is_symlink()]
    for name in links:
        del found[name]
        yield Finding(kind="untraced", where=name, text="a link, which no bundle holds")
    yield from (told for told in strangers_of(root) if told.where.split("/")[0] not in (RUN, REPORT))
    listed = found.pop(sums.NAME)
    yield from sums.held_against(sums.read_sums(listed), found, sums.NAME)
    expected = written(run)
    yield from compare_files({name: root / name for name in expected if name in found}, expected, versions, "bundle")


def _plan(run: Run) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "run": manifest.run_id,
        "digest": run.digest,
        "tool_version": manifest.tool_version,
        "command": manifest.command,
        "suite": {"name": manifest.suite, "version": manifest.suite_version, "headline": manifest.headline},
        "points": [point.title for point in {case.point.key: case.point for case in manifest.cases}.values()],
        "device": manifest.device,
        "budget": manifest.budget,
        "baseline": manifest.baseline,
        "backends": [arm.backend.text for arm in manifest.arms if not arm.control and not arm.sham],
        "left_out": manifest.left_out,
        "plan": manifest.plan,
    }


def _json(value: Any) -> bytes:
    return msgspec.json.format(wire.encode(value), indent=2) + b"\n"


def _sha256(content: bytes | Path) -> str:
    return file_sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
