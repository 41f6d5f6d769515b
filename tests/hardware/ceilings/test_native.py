"""The native loops measure every level and every chain."""

import os
from dataclasses import replace

import numpy as np
import pytest

from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import Start
from steelyard.hardware.ceilings.native import prepare
from tests.fakes.ceilings import TERMS


def test_the_native_loops_measure_every_level_and_every_chain(compiled):
    work = prepare(Start(by="native", terms=TERMS, library=str(compiled.path)))
    found = {}
    for each, sample in work.offers:
        assert sample is not None
        found[each.what, each.dtype, each.size] = sample()
    assert all(np.isfinite(value) and value > 0 for value in found.values())
    assert {what for what, _, _ in found} == {"read", "copy", "triad", "chase", "dependent", "independent", "fma"}


def test_chains_that_need_nothing_of_each_other_overlap_and_wide_vectors_hold_more_numbers(compiled):
    work = prepare(Start(by="native", terms=TERMS, library=str(compiled.path)))
    best = {
        (each.what, each.dtype): (min if each.unit == "s" else max)(sample() for _ in range(8))
        for each, sample in work.offers
        if each.dtype
    }
    for dtype in ("float32", "float64"):
        assert best["independent", dtype] < best["dependent", dtype]
    assert best["fma", "float32"] > best["fma", "float64"]


def test_with_several_threads_some_loops_run_on_fewer_for_the_scaling(compiled):
    two = tuple(sorted(os.sched_getaffinity(0)))[:2]
    terms = replace(TERMS, threads=2, cpus=two if len(two) == 2 else two * 2)
    work = prepare(Start(by="native", terms=terms, library=str(compiled.path)))
    offers = [offered for offered, _ in work.offers]
    assert {o.threads for o in offers if o.what == "fma"} == {1, 2}
    assert {o.threads for o in offers if o.what == "triad"} == {1, 2}
    assert {o.threads for o in offers if o.what in ("chase", "dependent", "independent")} == {1}
    scaled = next(sample for o, sample in work.offers if (o.what, o.dtype, o.threads) == ("fma", "float64", 2))
    assert scaled() > 0


def test_on_an_accelerator_the_native_loops_are_absent():
    with pytest.raises(Unsupported, match="run on the CPU, not on cuda"):
        prepare(Start(by="native", terms=replace(TERMS, device_kind="cuda")))
