"""matplotlib as it comes, whatever is set for it in the environment, at home or in the working directory."""

import os
import sys
from contextlib import chdir
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


@cache
def matplotlib() -> Any:
    """The library and those of its backends that write files. Call it before anything of it is imported.

    While it is imported it takes a backend from MPLBACKEND and settings from a `matplotlibrc`; one that is wrong would
    end the program, and figures need neither: they are drawn with its defaults, by canvases that are named. The file
    in the working directory comes before all others, and meanwhile it is an empty one.
    """
    if "matplotlib" not in sys.modules:
        chosen = os.environ.pop("MPLBACKEND", None)
        try:
            with TemporaryDirectory(prefix="steelyard-") as folder, chdir(folder):
                Path("matplotlibrc").touch()
                import_module("matplotlib")
        finally:
            if chosen is not None:
                os.environ["MPLBACKEND"] = chosen
    for kind in ("agg", "pdf", "svg"):
        import_module(f"matplotlib.backends.backend_{kind}")
    return sys.modules["matplotlib"]
