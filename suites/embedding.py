"""The suite `embedding`: encoders of text that search systems run, and a reranker."""

from collections.abc import Callable, Mapping

from steelyard.lowering.catalogue import Extents, Model, Size, Tensor, encoder_flop, rows_left_alone, suite

_TINY = {
    "vocab_size": 256,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
}
_BERT = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}
_MINILM = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
_PLACES = 512
"""Of BERT, by default."""
_IDS = {"input_ids": Tensor(shape=("batch", "length"), dtype="int64", below="vocab_size")}
_EMBEDDING = {
    "last_hidden_state": Tensor(shape=("batch", "length", "hidden_size")),
    "pooler_output": Tensor(shape=("batch", "hidden_size")),
}


def _flop(extents: Extents) -> float:
    """The encoder, and the product that pools the first token."""
    return encoder_flop(extents) + 2.0 * int(extents["hidden_size"]) ** 2


def _reranker_flop(extents: Extents) -> float:
    """As above, and the product that gives one score."""
    return _flop(extents) + 2.0 * int(extents["hidden_size"])


def _unread(extents: Extents) -> int:
    """Of the embeddings of words and of places."""
    width, length = int(extents["hidden_size"]), int(extents["length"])
    places = int(extents.get("max_position_embeddings", _PLACES))
    words = rows_left_alone(int(extents["vocab_size"]), width, int(extents["batch"]) * length)
    return words + rows_left_alone(places, width, length)


def _sizes(
    config: Mapping[str, int], parameters: tuple[int, int], flop: Callable[[Extents], float], **more: int
) -> dict[str, Size]:
    """`parameters` of the tiny model and of the published one."""

    def size(geometry: Mapping[str, int], count: int, batch: int, length: int) -> Size:
        axes = {"batch": batch, "length": length}
        return Size(config={**geometry, **more}, axes=axes, parameters=count, flop=flop, unread=_unread)

    return {
        "tiny": size(_TINY, parameters[0], 1, 16),
        "small": size(config, parameters[1], 1, 128),
        "full": size(config, parameters[1], 32, 512),
    }


MODELS = {
    "bert": Model(
        meaning="BERT-base: twelve layers, post-normalisation (Devlin et al., 2019, section 3)",
        kind="BertModel",
        inputs=_IDS,
        outputs=_EMBEDDING,
        sizes=_sizes(_BERT, (91_840, 109_482_240), _flop),
        unit="sequences",
    ),
    "minilm": Model(
        meaning="MiniLM-L6: six narrow layers, as sentence embeddings use it (Wang et al., 2020)",
        kind="BertModel",
        inputs=_IDS,
        outputs=_EMBEDDING,
        sizes=_sizes(_MINILM, (91_840, 22_713_216), _flop),
        unit="sequences",
    ),
    "reranker": Model(
        meaning="a cross-encoder with MiniLM's geometry: the score of a query and a document in one sequence",
        kind="BertForSequenceClassification",
        inputs=_IDS,
        outputs={"logits": Tensor(shape=("batch", 1))},
        sizes=_sizes(_MINILM, (91_905, 22_713_601), _reranker_flop, num_labels=1),
        unit="pairs",
    ),
}
SUITE = suite(
    name="embedding",
    version=2,
    question="How fast does each backend turn text into vectors and scores?",
    headline="minilm",
    models=MODELS,
    axes={"batch": "sequences in one call", "length": "tokens of a sequence"},
)
