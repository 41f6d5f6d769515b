"""What a command costs before it does anything: no framework, no pandas, no matplotlib."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "torch", "torchax", "jax", "jaxlib", "onnx", "onnxscript", "onnxruntime", "openvino", "transformers", "gguf",
    "pandas", "matplotlib", "pyarrow", "scipy",
)  # fmt: skip
CHILD = """
import json, sys
from steelyard.cli.main import main
sys.argv = ["bench", *sys.argv[1:]]
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
print(json.dumps({"code": code, "modules": [name for name in sys.modules if "." not in name]}), file=sys.stderr)
"""
VERBS = ("run", "report", "compare", "show", "list", "doctor", "cache")


def bench(*arguments, cwd):
    command = [sys.executable, "-c", CHILD, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout, json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), *((verb, "--help") for verb in VERBS), ("list", "suites")], ids=" ".join
)
def test_imports_nothing_heavy(arguments, tmp_path):
    output, end = bench(*arguments, cwd=tmp_path)
    assert end["code"] == 0
    assert output.strip()
    assert not set(HEAVY) & set(end["modules"])


def test_all_names_are_the_same_command(tmp_path, repository):
    programs = (["bench"], ["steelyard"], ["python", "-m", "steelyard"])
    folder = repository / sys.executable.rpartition("/")[0]
    shown = [
        subprocess.run([f"{folder}/{first}", *rest, "--version"], capture_output=True, text=True, check=True).stdout
        for first, *rest in programs
    ]
    assert len(set(shown)) == 1
    assert shown[0].startswith("steelyard ")


def test_help_names_every_verb(tmp_path):
    output, _ = bench("--help", cwd=tmp_path)
    assert all(verb in output for verb in VERBS)
