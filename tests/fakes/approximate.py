"""A synthetic run as it would be under a stated tolerance, with arms whose answers needed it."""

from dataclasses import replace

from steelyard.core.result import Result
from steelyard.core.run import Run

TOLERANCE = 1e-3


def under_tolerance(run: Run, *arms: str, workload: str = "") -> Run:
    """`arms` are off by half the tolerance, on one workload or on all."""
    manifest = run.manifest
    budget = replace(manifest.budget, tolerance=TOLERANCE)
    cases = {case.id: replace(case, budget=budget) for case in manifest.cases}

    def result(found: Result) -> Result:
        case = cases[found.case_id]
        found = replace(found, case_id=case.id)
        if found.arm not in arms or workload not in ("", case.point.workload) or found.correctness is None:
            return found
        check = replace(
            found.correctness.outputs[0],
            relative_l2=TOLERANCE / 2,
            tolerance=TOLERANCE,
            default_tolerance=found.correctness.outputs[0].tolerance,
        )
        correctness = replace(found.correctness, outputs=(check,))
        return replace(found, correctness=correctness, approximate=correctness.approximate)

    return replace(
        run,
        manifest=replace(manifest, budget=budget, cases=tuple(cases.values())),
        results=tuple(result(found) for found in run.results),
    )
