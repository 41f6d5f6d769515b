"""Our numbers held against the vendors' own tools, and our path against each runtime's native one: `make agreement`."""

import os
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])

# The tools are processes of their own, which find these modules by name.
if _ROOT not in (given := os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    os.environ["PYTHONPATH"] = os.pathsep.join([_ROOT, *filter(None, given)])
