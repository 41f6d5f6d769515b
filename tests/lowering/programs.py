"""Sources of programs that are wrong on purpose, named in requests as `programs:...`."""

import time

from steelyard.contract import program as contract
from steelyard.core.errors import CheckpointError


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
