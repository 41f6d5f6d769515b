"""The models of the suite."""

from collections.abc import Mapping

from . import dlrm, gpt2, resnet
from .trained import Trained

MODELS: Mapping[str, Trained] = {"gpt2": gpt2.MODEL, "resnet50": resnet.MODEL, "dlrm": dlrm.MODEL}
