"""Greedy generation: `prefill`, then `decode` once per further token, each fed back, each step timed by itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.runner import Binding
from steelyard.measure import clock as clocks

if TYPE_CHECKING:
    IntArray = np.ndarray[Any, np.dtype[np.int64]]
else:
    IntArray = np.ndarray

CLOCK = clocks.CLOCK
_TOKEN = ("next_token",)


class Generation:
    """Greedy decoding of `tokens` tokens after a prompt of `prompt` tokens.

    The sample starts before prefill and ends when the last token is on the host. `stamps` holds
    `tokens + 1` clock readings: the start, then one when each token arrived, so that time to first
    token and every time per output token are differences of neighbouring stamps, each step timed by
    itself. From step `forced_from` on the reference's token is fed, whatever the backend chose. `kept` gets the stamps
    of every call, outside its sample.
    """

    def __init__(
        self,
        prefill: Binding,
        decode: Binding,
        *,
        prompt: int,
        reference: Sequence[Sequence[int]],
        forced_from: int | None,
        kept: list[list[int]] | None = None,
    ) -> None:
        self._kept = [] if kept is None else kept
        self._prefill = prefill
        self._decode = decode
        self.reference: IntArray = np.asarray(reference, dtype=np.int64)
        self.tokens = self.reference.shape[1]
        self._forced_from = self.tokens if forced_from is None else forced_from
        self._positions = [np.array([prompt + step], dtype=np.int64) for step in range(self.tokens)]
        self._forced = [np.ascontiguousarray(self.reference[:, step : step + 1]) for step in range(self.tokens)]
        self.stamps = [0] * (self.tokens + 1)
        self.chosen: IntArray = np.zeros_like(self.reference)

    def run(self) -> None:
        """The whole answer."""
        stamps, decode, chosen, clock = self.stamps, self._decode, self.chosen, CLOCK
        stamps[0] = clock()
        self._prefill.run()
        token = self._prefill.read(_TOKEN)["next_token"]
        stamps[1] = clock()
        chosen[:, 0] = token
        decode.adopt(self._prefill)
        for step in range(1, self.tokens):
            fed = self._forced[step - 1] if step > self._forced_from else token.reshape(-1, 1)
            decode.update({"input_ids": fed, "position": self._positions[step - 1]})
            decode.run()
            token = decode.read(_TOKEN)["next_token"]
            stamps[step + 1] = clock()
            chosen[:, step] = token
            if step + 1 < self.tokens:
                decode.settle()

    def settle(self) -> None:
        """Keep the stamps, release what the answer left behind."""
        self._kept.append(list(self.stamps))
        self._decode.settle()
        self._prefill.settle()

    def last_logits(self) -> Any:
        """The logits of the last step, [batch, vocabulary]; valid between `run` and `settle`."""
        return self._decode.read(("logits",))["logits"]
