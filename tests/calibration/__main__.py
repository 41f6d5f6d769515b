"""`python -m tests.calibration [STAGE ...]`: run the stages, or these alone, and write docs/calibration.md."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from steelyard.core.errors import SteelyardError, unknown_name
from tests.calibration import aa, bench, effect_runs, page, sampler, simulate, turns_runs, vendor

STAGES: Mapping[str, Callable[[Path], None]] = {
    "simulate": simulate.run,
    "turns": turns_runs.run,
    "aa": aa.run,
    "aa-apart": aa.run_apart,
    "effect": effect_runs.run,
    "bench": bench.run,
    "sampler": sampler.run,
    "vendor": vendor.run,
}


def main(names: list[str]) -> int:
    """Run stages in their fixed order; each goes on where it stopped. The page is written after each of them."""
    try:
        for name in names:
            if name not in STAGES:
                raise unknown_name("stage", name, STAGES)
        for name, run in STAGES.items():
            if name in names or not names:
                run(page.FOLDER)
                page.PAGE.write_text(page.render(page.load(page.FOLDER)))
                print(f"{name}: done, {page.PAGE.relative_to(page.ROOT)} written", file=sys.stderr)
    except SteelyardError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
