"""`voice`: Silero VAD, in which parts of a recording somebody speaks. How many frames of a synthetic voice between
pauses are told right?"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.workload import Point, TensorSpec

from . import files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MEANING = "Silero VAD: where somebody speaks in 3 s of sound (Silero Team, 2021)"
_PACKAGE, _FILE = "silero-vad", "silero_vad_16k_sequence.onnx"
_RATE, _FRAME, _CONTEXT = 16000, 512, 64
_FRAMES, _WIDTH = 94, 128
_PARAMETERS, _FLOP = 309_635, 140_172_800
_SPEECH = 0.5
_UNSURE = 4
"""So many frames (128 ms) on either side of a change are not counted: the model waits before it changes its mind."""
# Formants of vowels in Hz (Peterson and Barney, 1952, men: the vowels of heed, had, hod, who'd) and their widths.
_VOWELS = ((270, 2290, 3010), (660, 1720, 2410), (730, 1090, 2440), (300, 870, 2240))
_WIDTHS = (80, 100, 140)
_SYLLABLE_S = 0.18


def point(name: str) -> Point:
    """The point of the workload. Raises MissingPackage without the package of the weights."""
    carried = tuple(TensorSpec(name=each, shape=(1, 1, _WIDTH), dtype="float32") for each in ("h", "c"))
    program = files.onnx_program(
        name,
        _PACKAGE,
        f"data/{_FILE}",
        (TensorSpec(name="input", shape=(_FRAMES, _CONTEXT + _FRAME), dtype="float32"), *carried),
        (
            TensorSpec(name="speech_probs", shape=(_FRAMES,), dtype="float32"),
            *(TensorSpec(name=each, shape=(1, 1, _WIDTH), dtype="float32") for each in ("hn", "cn")),
        ),
    )
    return files.scored_point(
        program, __name__, scored="frames told", flop=_FLOP, parameters=_PARAMETERS, items=_FRAMES, unit="frames"
    )


def arrays(point: Point, index: int) -> "dict[str, Array]":
    """The frames of a recording, each after the end of the one before, and a state of zeros."""
    import numpy as np

    del point
    sound = np.concatenate([np.zeros(_CONTEXT), _sound(index)])
    frames = [sound[start : start + _CONTEXT + _FRAME] for start in range(0, _FRAMES * _FRAME, _FRAME)]
    state = np.zeros((1, 1, _WIDTH), np.float32)
    return {"input": np.stack(frames).astype(np.float32), "h": state, "c": state}


def score(point: Point, index: int, answer: "Mapping[str, Array]") -> tuple[int, int]:
    """How many frames are told right, of those that are no neighbours of a change."""
    del point
    spoken = _spoken(index)
    right = of = 0
    for place, probability in enumerate(answer["speech_probs"]):
        near = spoken[max(0, place - _UNSURE) : place + _UNSURE + 1]
        if len(set(near)) == 1:
            of += 1
            right += (probability > _SPEECH) == spoken[place]
    return right, of


def _spoken(index: int) -> list[bool]:
    """Frame by frame whether there is a voice: it begins after a pause, and rests once between."""
    source = random.Random(3000 + index)  # noqa: S311 (a seed, no secret)
    lengths = [source.randint(14, 20), source.randint(22, 28), source.randint(14, 20)]
    found = [number % 2 == 1 for number, length in enumerate(lengths) for _ in range(length)]
    return found + [True] * (_FRAMES - len(found))


def _sound(index: int) -> "Array":
    """Harmonics of a voice of which the pitch wanders, as loud as the formants of one vowel after the other make them,
    with a little noise everywhere; [samples], at most 0.5."""
    import numpy as np

    draw = np.random.default_rng(3000 + index)
    seconds = np.arange(_FRAMES * _FRAME) / _RATE
    syllables = int(seconds[-1] / _SYLLABLE_S) + 2
    beats = np.arange(syllables) * _SYLLABLE_S
    pitch = np.interp(seconds, beats, 120 + 20 * draw.standard_normal(syllables))
    phase = 2 * np.pi * np.cumsum(pitch) / _RATE
    vowels = draw.integers(0, len(_VOWELS), syllables)
    formants = [np.interp(seconds, beats, [_VOWELS[each][place] for each in vowels]) for place in range(len(_WIDTHS))]
    voice = np.zeros_like(seconds)
    for harmonic in range(1, 33):
        frequency = harmonic * pitch
        gain = sum(
            1 / (1 + ((frequency - centre) / width) ** 2) for centre, width in zip(formants, _WIDTHS, strict=True)
        )
        voice += gain / harmonic * np.sin(harmonic * phase + draw.uniform(0, 2 * np.pi))
    loudness = 0.35 + 0.65 * np.sin(np.pi * seconds / _SYLLABLE_S) ** 2
    spoken = np.repeat(np.array(_spoken(index), dtype=float), _FRAME)
    spoken = np.convolve(spoken, np.ones(320) / 320, mode="same")  # 20 ms to begin and to end
    voice = voice * loudness * spoken
    found: Array = 0.4 * voice / np.abs(voice).max() + 0.002 * draw.standard_normal(len(seconds))
    return found
