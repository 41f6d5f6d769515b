"""A cache of its own for each test, and the native loops compiled once for all."""

import os

import pytest

from steelyard.hardware.ceilings import build


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The native loops, compiled once for all tests."""
    folder = tmp_path_factory.mktemp("native")
    before = os.environ.get("STEELYARD_CACHE")
    os.environ["STEELYARD_CACHE"] = str(folder)
    try:
        return build.library()
    finally:
        os.environ.pop("STEELYARD_CACHE") if before is None else os.environ.update(STEELYARD_CACHE=before)
