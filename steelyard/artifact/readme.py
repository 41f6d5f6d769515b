"""The page that an artifact evaluator reads first: what is claimed, how to check it, which file serves which badge."""

from collections.abc import Iterator

from steelyard.artifact.claims import claims_of
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run
from steelyard.tables.format import decimals, fixed, level

_CHECK = """\
## Check it

Unpacked or not, with steelyard installed:

```sh
bench verify BUNDLE
```

holds every file against `SHA256SUMS`, every sample against the digest of the process that measured it, and every
number of the report against the samples: the report is rendered again and compared line by line. Without steelyard,
`sha256sum --check SHA256SUMS` checks the files alone.

## Measure it again

```sh
python -m venv venv
venv/bin/pip install --constraint constraints.txt 'steelyard[cpu]'
venv/bin/bench replay --dry-run BUNDLE
venv/bin/bench replay BUNDLE
```

runs the same plan on your machine and says of each claim whether it held there. `--dry-run` prints the plan, its
minutes and gigabytes, and what differs, before anything starts. Numbers will differ with the machine; a claim is the
verdict, and it holds where your machine gives the same one.
"""

_BADGES = """\
## By the usual badge criteria

The criteria are those of the ACM's artifact review and badging, version 1.1.

| criterion | where |
|---|---|
| Available | this archive, once its authors have put it into a public archive; the digest above names its data |
| Functional: documented | this page; `plan.json` (what was run), `environment.json` (on what), captions in `report/` |
| Functional: consistent | `report/` is rendered from `run/` and from nothing else: `bench verify BUNDLE` |
| Functional: complete | `run/` holds every sample in time order, failures and unsupported cases included |
| Functional: exercisable | `bench verify BUNDLE`, `bench report run`, `bench replay BUNDLE` |
| Reusable | `run/` in open formats (JSON, Parquet) under a schema version; `constraints.txt` pins what ran |
| Results reproduced | `bench replay BUNDLE` on the evaluators' machine: exit code 0 if no claim was contradicted |
"""


def readme(run: Run) -> str:
    """The page, in Markdown."""
    return "\n".join([*_head(run), *_claims(run), _CHECK, _BADGES])


def _head(run: Run) -> Iterator[str]:
    manifest = run.manifest
    yield f"# Artifact: {_text(manifest.suite)} on {_text(manifest.device.name)}\n"
    yield f"- Run `{manifest.run_id}`, measured {manifest.created_utc} by steelyard {manifest.tool_version}."
    yield f"- Digest of the run: `{run.digest}`."
    yield f"- {manifest.budget.threads} threads, tuning {manifest.budget.tuning}, baseline {_text(manifest.baseline)}."
    yield f"- {len(run.launches)} launches, {len(run.results)} results; the raw samples are in `run/`.\n"


def _claims(run: Run) -> Iterator[str]:
    yield "## What is claimed\n"
    claims = claims_of(run)
    if not claims:
        yield "No comparison of this run came to a verdict; its numbers stand in `report/`.\n"
        return
    yield "Ratios are candidate / baseline of the metric itself, with the interval that the verdict rests on.\n"
    yield "| workload | metric | candidate | baseline | ratio | verdict |"
    yield "|---|---|---|---|---|---|"
    for claim in claims:
        cells = (_text(claim.title), claim.metric, _text(claim.candidate), _text(claim.baseline), _ratio(claim))
        yield f"| {' | '.join(cells)} | {claim.verdict} |"
    yield ""


def _ratio(claim: Comparison) -> str:
    estimate = claim.ratio
    if estimate is None:
        return "not known"
    if estimate.interval is None:
        return fixed(estimate.value, decimals(estimate.value))
    ends = estimate.interval.low, estimate.interval.high
    places = decimals(estimate.value, ends)
    value, low, high = (fixed(number, places) for number in (estimate.value, *ends))
    return f"{value} [{low}, {high}] ({level(estimate.interval)})"


def _text(text: str) -> str:
    """A stored text inside a table of Markdown."""
    safe = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("|", "\\|")
