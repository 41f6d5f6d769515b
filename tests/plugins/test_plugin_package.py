"""A package of somebody else, really installed: its runner by name, by path, and its torch.compile backend."""

import json
import os
import re
import subprocess
import sys

import pytest


def python(text, *arguments, environment, cwd):
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_name_comes_from_the_entry_point(installed, tmp_path):
    names = "from steelyard.plugins import runners; print(*runners())"
    assert "aten" in python(names, environment=installed, cwd=tmp_path).stdout.split()
    assert "aten" not in python(names, environment=dict(os.environ), cwd=tmp_path).stdout.split()


def test_registering_imports_no_framework(installed, tmp_path):
    text = "import sys; from steelyard.plugins import runner; runner('aten'); print('torch' in sys.modules)"
    assert python(text, environment=installed, cwd=tmp_path).stdout.strip() == "False"


@pytest.mark.backends
def test_own_backends_of_every_kind_keep_the_contract(installed, repository):
    """By entry point, by path, and as a torch.compile backend."""
    checks = str(repository / "tests/plugin_package/check_contract.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", checks]
    done = subprocess.run(command, env=installed, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"^=+ \d+ passed in", done.stdout, re.MULTILINE), done.stdout[-500:]


@pytest.mark.backends
def test_pass_removes_only_what_is_idle(installed, tmp_path):
    text = """
import torch
from steelyard_example_plugin import passes

seen = []
def spy(graph_module, inputs):
    before = len(graph_module.graph.nodes)
    made = passes.simplify(graph_module, inputs)
    seen.append((before, len(graph_module.graph.nodes)))
    return made

def work(x):
    idle = x.view(x.shape) * 2
    return idle.expand(4, 6).view(6, 4).t() + 1, x.view(x.shape)

from torch._dynamo.backends.common import aot_autograd
x = torch.arange(24.0).reshape(4, 6)
with torch.no_grad():
    got = torch.compile(work, backend=aot_autograd(fw_compiler=spy), fullgraph=True)(x)
for one, other in zip(got, work(x)):
    torch.testing.assert_close(one, other, rtol=0, atol=0)
(before, after), = seen
print(before - after)
"""
    done = python(text, environment=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 2


def test_a_suite_a_driver_a_format_and_a_section_of_others_are_used_like_our_own(installed, tmp_path):
    """Each is one file or folder of the installed package; nothing else knows of it."""
    environment = {**installed, "STEELYARD_CACHE": str(tmp_path / "cache")}
    options = ["--suite", "products", "--backend", "rows", "--baseline", "rows", "--quick", "--window", "0.1"]
    command = [sys.executable, "-m", "steelyard", "run", *options, "--threads", "1", "--output", str(tmp_path / "runs")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (report,) = tmp_path.glob("runs/*/report/report.md")
    text = report.read_text()
    places = [text.index(title) for title in ("twice", "Launches of each backend", "First runs", "Start-up")]
    assert places == sorted(places), "sections stand in their order"
    assert "| Backend | First run " in text
    assert "generates tokens" not in text, "a driver that no workload has is not spoken of"
    verify = [sys.executable, "-m", "steelyard", "verify", str(report.parents[1])]
    done = subprocess.run(verify, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "everything was traced" in done.stdout, done.stdout[-2000:]


def test_a_file_of_a_kind_that_only_another_package_reads_is_run(installed, tmp_path):
    (tmp_path / "net.matrix").write_text("1,2\n3,4\n5,6\n")
    environment = {**installed, "STEELYARD_CACHE": str(tmp_path / "cache")}

    def run(*options):
        options = ("--backend", "rows", "--baseline", "rows", "--quick", "--window", "0.1", "--threads", "1", *options)
        command = [sys.executable, "-m", "steelyard", "run", *options, "--output", str(tmp_path / "runs")]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("--model", "net.matrix")
    assert done.returncode == 2
    assert "input 'x' is ['rows', 3], with open extents; give them, e.g. --shape x=1x3" in " ".join(done.stderr.split())
    done = run("--model", "net.matrix", "--shape", "x=4x3")
    assert done.returncode == 0, done.stderr[-3000:]
    (report,) = tmp_path.glob("runs/*/report/report.md")
    assert "torch in float64" in report.read_text()
    (results,) = tmp_path.glob("runs/*/segment-000/results.jsonl")
    assert {json.loads(line)["status"] for line in results.read_text().splitlines()} == {"ok"}


def test_a_run_of_a_driver_that_is_gone_says_whose_it_was(installed, tmp_path):
    text = "from steelyard.plugins import driver; driver('pair')"
    done = python(text, environment=dict(os.environ), cwd=tmp_path)
    assert "unknown driver 'pair'" in done.stderr
