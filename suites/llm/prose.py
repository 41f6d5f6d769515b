"""Prompts: the prose of `prompts.txt` as token ids of an exact length."""

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from steelyard.core.errors import CheckpointError, SteelyardError

_BEFORE = "Here is the beginning of a text.\n\n"
_AFTER = "\n\nWhat is this text about? Answer in one or two sentences."
_MARK = "<<<prose>>>"
_LEAST_PROSE = 32


@cache
def passages() -> tuple[str, ...]:
    """The passages of prompts.txt, one line each; blank lines separate them in the file."""
    text = resources.files(__package__).joinpath("prompts.txt").read_text(encoding="utf-8")
    return tuple(" ".join(block.split()) for block in re.split(r"\n\s*\n", text.strip()))


class Prose:
    """Turns prose into token ids of one model. Row numbers choose different passages.

    With a tokenizer the ids are its own. Without one (seeded weights) every word with the space before it
    stands for the id sha256(word) mod vocabulary: equal words give equal ids, which is all that a random
    model can notice of a language.
    """

    def __init__(self, tokenizer_dir: Path | None, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.tokenizer: Any = None
        if tokenizer_dir is not None:
            from transformers import AutoTokenizer

            self.tokenizer = AutoTokenizer.from_pretrained(
                tokenizer_dir, local_files_only=True, trust_remote_code=False
            )

    def plain(self, row: int, length: int) -> list[int]:
        """Exactly `length` ids of running prose, beginning at passage number `row`."""
        chosen = passages()
        ids: list[int] = []
        step = 0
        while len(ids) < length + row // len(chosen):
            ids += self._encode(("\n\n" if step else "") + chosen[(row + step) % len(chosen)])
            step += 1
        start = row // len(chosen)  # past the last passage rows begin one token later
        return ids[start : start + length]

    def question(self, row: int, length: int) -> list[int]:
        """Exactly `length` ids: a user's turn in the model's chat template that asks what a passage is about.

        The prose between the fixed parts is cut to fit. It is `plain` where the tokenizer has no chat
        template, or where fewer than 32 tokens would be left for the prose.
        """
        template = getattr(self.tokenizer, "chat_template", None)
        if template is None:
            return self.plain(row, length)
        message = [{"role": "user", "content": _BEFORE + _MARK + _AFTER}]
        text = self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        before, mark, after = str(text).partition(_MARK)
        if not mark:
            raise CheckpointError("the chat template of the tokenizer drops the user's message")
        head, tail = self._encode(before), self._encode(after)
        room = length - len(head) - len(tail)
        if room < _LEAST_PROSE:
            return self.plain(row, length)
        return head + self.plain(row, room) + tail

    def text(self, ids: list[int]) -> str | None:
        """The text of an answer up to its end-of-turn token, or None without a tokenizer."""
        if self.tokenizer is None:
            return None
        end = self.tokenizer.eos_token_id
        kept = ids[: ids.index(end)] if end in ids else ids
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip()

    def _encode(self, text: str) -> list[int]:
        if self.tokenizer is None:
            return [_word_id(word, self.vocabulary) for word in re.findall(r"\s?\S+", text)]
        ids = [int(number) for number in self.tokenizer.encode(text, add_special_tokens=False)]
        if ids and max(ids) >= self.vocabulary:
            raise CheckpointError(
                f"the tokenizer gives the id {max(ids)}, the model knows {self.vocabulary}: they do not belong together"
            )
        if not ids:
            raise SteelyardError("the tokenizer gives no ids for English prose")
        return ids


def _word_id(word: str, vocabulary: int) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big") % vocabulary
