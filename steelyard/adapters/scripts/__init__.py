"""The texts that stand-alone scripts are put together from: a head, a runtime's own part, the check and the loop."""

from importlib import resources


def text_of(name: str) -> str:
    """One of them, e.g. of `xla`."""
    return resources.files(__name__).joinpath(f"{name}.py.txt").read_text()
