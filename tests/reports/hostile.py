"""A run whose names and reasons try to become markup."""

import dataclasses

from steelyard.core.run import LeftOut, Run
from tests.fakes.runs import Outcome, llm_points, synthetic_run

HOSTILE = (
    "<script>alert(1)</script>",
    r"\input{/etc/passwd}",
    "50%&_#$^~{}",
    "日本語-λ-é",
    '"><img src=http://example.invalid/x onerror=alert(1)>',
    "](http://example.invalid) ![x](http://example.invalid/y)",
)
REASON = r"</script><script>alert(2)</script> \write18{ls} %s & 100% _x_ [a](b) `c` | d"


def hostile_run() -> Run:
    """Backends with names that no parser would let through, failing with such reasons."""
    run = synthetic_run(
        backends=("eager", *(f"b{number}" for number in range(len(HOSTILE)))),
        rounds=8,
        points=llm_points(("decode", "generate")),
        headline="decode",
        statuses={("b1", "decode"): Outcome(status="crashed", reason=REASON, log_tail=REASON)},
        left_out=(LeftOut(backend="<b>left</b>", reason=REASON),),
    )
    names = {f"b{number}": name for number, name in enumerate(HOSTILE)}
    arms = tuple(dataclasses.replace(arm, label=names.get(arm.label, arm.label)) for arm in run.manifest.arms)
    results = tuple(
        dataclasses.replace(result, arm=names.get(result.arm, result.arm), text=REASON if result.text else None)
        for result in run.results
    )
    manifest = dataclasses.replace(
        run.manifest, arms=arms, command=("bench", REASON), environment={**run.manifest.environment, REASON: REASON}
    )
    return dataclasses.replace(run, manifest=manifest, results=results)
