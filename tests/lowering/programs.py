"""Sources of programs that are wrong on purpose, or have weights of their own, named in requests as `programs:...`."""

import time

import numpy as np
import torch
from safetensors.numpy import save_file

from steelyard.contract import program as contract
from steelyard.core.errors import CheckpointError
from steelyard.lowering.entry import PoolEntry


def no_weights(arguments, directory, local):
    raise CheckpointError("the checkpoint lacks 'key.weight'")


def broken_weights(arguments, directory, local):
    raise ZeroDivisionError("a bug in the suite")


def unexportable(*, in_place, kind, dtype):
    module = contract.build(in_place=in_place, kind=kind, dtype=dtype)
    if kind != "prefill":
        return module
    forward = module.forward

    def branching(input_ids):
        if int(input_ids.sum()) > -1:  # depends on data: eager can, torch.export cannot
            return forward(input_ids)
        return forward(input_ids + 1)

    module.forward = branching
    return module


def endless_weights(arguments, directory, local):
    (directory / "half").write_text("made")
    time.sleep(600)


def other_weights(arguments, directory, local):
    """Those of the contract's program, each tensor times a factor of its own."""
    arrays = contract.weights_arrays()
    save_file({name: array * np.float32(1 + 0.5 * place) for place, (name, array) in enumerate(arrays.items())},
              directory / "weights.safetensors")  # fmt: skip


def answers(point, modules, tokenizer, count):
    """As the contract's pool, by the modules themselves: whatever weights each has."""
    entries = []
    for seed in range(count):
        prompt = torch.from_numpy(contract.prompt_ids(seed))
        token, first, cache = modules["prefill"](prompt)
        tokens, logits = [token], first
        for step in range(1, contract.TOKENS):
            position = torch.tensor([contract.PROMPT + step - 1])
            token, logits, cache = modules["decode"](tokens[-1][:, None], position, cache)
            tokens.append(token)
        entries.append(
            PoolEntry(
                inputs={"input_ids": prompt},
                references={"first_logits": first.clone(), "logits": logits.clone()},
                tokens=tuple(tuple(row) for row in torch.stack(tokens, dim=1).tolist()),
                margins=(1.0,) * contract.TOKENS,
            )
        )
    return entries
