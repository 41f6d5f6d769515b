"""The ncnn runner: it has no layers for the contract's tiny language model, so that it is held to convolution nets."""

import json
import subprocess
import sys

import pytest

from steelyard.formats.ncnn import ends
from steelyard.store import find_run, open_run

SCRIPT = """
            ex.input("in0", ncnn.Mat(in0.numpy(), batch_index=0).clone())
            ex.input("in1", ncnn.Mat(in1.numpy()).clone())

            _, out0 = ex.extract("out0")
            out.append(torch.from_numpy(out0.numpy(batch_index=1)))
            _, out1 = ex.extract("out1")
            out.append(torch.from_numpy(out1.numpy()))
"""


def test_the_axis_that_ncnn_keeps_apart_is_read_from_the_script_of_pnnx():
    assert ends(SCRIPT) == {
        "inputs": [{"name": "in0", "batch": 0}, {"name": "in1", "batch": None}],
        "outputs": [{"name": "out0", "batch": 1}, {"name": "out1", "batch": None}],
    }


@pytest.mark.backends
@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_convolution_net_is_right_and_what_has_no_layer_is_a_row_with_the_names(tmp_path):
    pytest.importorskip("ncnn")
    command = [sys.executable, "-m", "steelyard", "run", "--suite", "vision", "--size", "tiny", "--threads", "2"]
    command += ["--workload", "vgg19,swin,vit", "--backend", "ncnn", "--baseline", "ncnn"]
    command += ["--rounds", "1", "--window", "0.05"]
    command += ["--output", str(tmp_path), "--no-report", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    run = open_run(find_run(tmp_path, "latest"))
    workloads = {case.id: case.point.workload for case in run.manifest.cases}
    last = {workloads[each.case_id]: each for each in run.results}
    assert last["vgg19"].status == "ok", ended.stdout + ended.stderr
    assert last["vgg19"].proof.threads == 2
    layers = last["vgg19"].proof.details["layers"]
    assert (layers["Convolution"], layers["InnerProduct"]) == (5, 3)
    assert last["vit"].status == "ok", f"a boolean mask, which ncnn reads as floats: {last['vit'].reason}"
    assert last["swin"].status == "unsupported"
    assert "ncnn has no layer for: " in last["swin"].reason
    assert [json.loads(line)["event"] for line in ended.stdout.splitlines()]
