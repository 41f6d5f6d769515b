"""`bench cache`: list, clean, verify."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli.cache import app
from steelyard.core.errors import UsageError
from steelyard.core.quantity import bytes_of
from steelyard.lowering.cache import Cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    cache = Cache(tmp_path)

    def build(directory):
        (directory / "data.bin").write_bytes(bytes(5000))
        return {}

    for key in ("one", "two"):
        cache.obtain("points", key, label=f"point {key}", made_with={"torch": "1"}, build=build)
    return cache


def bench(*arguments):
    return CliRunner().invoke(app, arguments)


def test_ls(cache):
    data = json.loads(bench("ls", "--json").stdout)
    assert data["kind"] == "steelyard-cache"
    assert [entry["label"] for entry in data["entries"]] == ["point one", "point two"]
    assert data["size_bytes"] == sum(entry["size_bytes"] for entry in data["entries"]) > 10_000
    assert "point two" in bench("ls").stdout


def test_verify_names_damage_and_fails(cache):
    assert bench("verify").exit_code == 0
    file = cache.root / "points" / "two" / "data.bin"
    file.write_bytes(b"\1" * 5000)
    done = bench("verify", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["damaged"] == {"points/two": "data.bin has changed (sha256)"}


def test_clean(cache):
    data = json.loads(bench("clean", "--keep", "6kB", "--json").stdout)
    assert data["removed"] == ["points/one"]
    assert bench("clean", "--keep", "0").stdout.splitlines() == ["removed points/two", "1 entries removed, 0 B left"]


@pytest.mark.parametrize(("text", "size"), [("20GB", 20 * 10**9), ("0", 0), ("1.5 MiB", 1572864), ("7", 7)])
def test_sizes(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "20 parsecs", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="20GB, 500MiB or 0"):
        bytes_of(text)
