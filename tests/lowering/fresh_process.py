"""Run as a program: one artifact in a process that imports numpy and its runtime only.

    python fresh_process.py RESPONSE.json POINT_INDEX FORMAT

Prints JSON: the largest relative error of each output over the first input sets, and whether tokens agree.
Plain code on the runtimes themselves, so that an artifact is judged without the runners.
"""

import json
import sys
from pathlib import Path

import numpy as np


def read(path):
    from safetensors.numpy import load_file

    return load_file(path)


def onnx(program, artifact):
    import onnxruntime

    session = onnxruntime.InferenceSession(Path(artifact["directory"]) / artifact["entry"])
    names = [each.name for each in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))


def openvino(program, artifact):
    import openvino

    core = openvino.Core()
    model = core.compile_model(
        Path(artifact["directory"]) / artifact["entry"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda inputs: [np.array(value) for value in model(list(inputs)).values()]


def stablehlo(program, artifact):
    import jax.export

    call = jax.jit(
        jax.export.deserialize(bytearray((Path(artifact["directory"]) / artifact["entry"]).read_bytes())).call
    )
    stored = read(program["weights_file"])
    weights = tuple(stored[name] for name in artifact["details"]["weights"])
    dtypes = artifact["details"]["input_dtypes"]
    return lambda inputs: [
        np.asarray(out) for out in call(weights, *(v.astype(d) for v, d in zip(inputs, dtypes, strict=True)))
    ]


def pt2(program, artifact):
    import torch

    from steelyard.core.lowered import Artifact
    from steelyard.core.workload import Program
    from steelyard.formats.pt2 import load
    from steelyard.wire import decode

    exported = load(
        decode(json.dumps(artifact), Artifact, "artifact"),
        decode(json.dumps(program["program"]), Program, "program"),
        program["weights_file"],
    )
    module = exported.module()
    with torch.no_grad():
        return lambda inputs: [out.numpy() for out in module(*(torch.from_numpy(v) for v in inputs))]


FORMATS = {"onnx": onnx, "openvino": openvino, "stablehlo": stablehlo, "pt2": pt2}


def main(response, index, form):
    point = json.loads(Path(response).read_text())["points"][int(index)]
    called = {}
    for role, program in point["programs"].items():
        artifact = program["artifacts"][form]
        names = ([s["name"] for s in program["program"]["inputs"]], artifact["outputs"])
        called[role] = (FORMATS[form.split("@")[0]](program, artifact), *names)

    def run(role, inputs):
        function, before, after = called[role]
        return dict(zip(after, function([inputs[name] for name in before]), strict=True))

    errors, tokens_agree = {}, True
    for entry in point["pool"][:2]:
        inputs, reference = read(entry["inputs"]), read(entry["reference"])
        if point["point"]["driver"] == "call":
            outputs = run("main", inputs)
            window = point["point"]["window"]
            for spec in point["programs"]["main"]["program"]["outputs"]:
                if spec["role"] == "state" and window:
                    places = np.arange(window["start"], window["start"] + window["length"])
                    outputs[spec["name"]] = outputs[spec["name"]].take(places, axis=window["axis"])
        else:
            tokens = np.array(entry["tokens"])
            step = run("prefill", inputs)
            outputs = {"first_logits": step["logits"]}
            for place in range(1, tokens.shape[1] + 1):
                until = entry["forced_from"] if entry["forced_from"] is not None else tokens.shape[1]
                tokens_agree &= bool((step["next_token"] == tokens[:, place - 1]).all()) or place > until
                outputs["logits"] = step["logits"]
                if place < tokens.shape[1]:
                    position = np.array([point["point"]["settings"]["prompt"] + place - 1])
                    step = run("decode", {**step, "input_ids": tokens[:, place - 1 : place], "position": position})
        for name, right in reference.items():
            if right.dtype.kind == "f":
                error = np.linalg.norm(outputs[name].astype("float64") - right) / np.linalg.norm(right)
                errors[name] = max(errors.get(name, 0.0), float(error))
            else:
                tokens_agree &= bool((outputs[name] == right).all())
    frameworks = sorted(
        {"torch", "jax", "onnxruntime", "openvino", "transformers", "onnx", "torchax"} & set(sys.modules)
    )
    print(json.dumps({"errors": errors, "tokens_agree": tokens_agree, "frameworks": frameworks}))


if __name__ == "__main__":
    main(*sys.argv[1:])
