"""The aims at the top of the page say what the data of the stages says."""

import dataclasses

from tests.calibration import bench, goals, page, sampler, turns

DATA = page.load(page.FOLDER)


def reached(data, words):
    (found,) = [each for each in goals.aims(data) if words in each.wanted]
    return found.met, found.reached


def test_every_stage_with_an_aim_has_its_rows():
    found = list(goals.aims(DATA))
    assert {each.stage for each in found} == {"bench", "effect", "aa", "turns", "vendor", "sampler"}
    assert not list(goals.aims({}))
    assert goals.section({}) == []
    told = f"{sum(each.met for each in found)} of {len(found)} aims are reached"
    assert told in page.render(DATA)


def test_an_aim_is_reached_by_what_was_measured_and_by_nothing_else():
    runs = [
        dataclasses.replace(
            each,
            timed_share=0.61,
            handover_s=0.005,
            lowering_s=150.0,
            backends=tuple(dataclasses.replace(row, verdict="faster", detectable=0.05) for row in each.backends),
        )
        for each in DATA[bench.FILE].runs
    ]
    good = {bench.FILE: dataclasses.replace(DATA[bench.FILE], runs=tuple(runs))}
    assert all(each.met for each in goals.aims(good))
    row = dataclasses.replace(runs[0].backends[0], verdict="inconclusive", detectable=None)
    worse = dataclasses.replace(runs[0], backends=(row, *runs[0].backends[1:]), timed_share=0.59)
    bad = {bench.FILE: dataclasses.replace(DATA[bench.FILE], runs=(worse, runs[1]))}
    assert reached(bad, "cache empty: every backend has a verdict") == (False, "3 of 4")
    assert reached(bad, "cache empty: a slowdown of 10 %") == (False, "not on every backend")
    assert reached(bad, "timed calls are at least 60 %") == (False, "59.0 % and 61.0 %")
    assert reached(bad, "cache warm: a slowdown of 5 %") == (True, "5.0 %")


def test_what_is_inconclusive_is_not_reached():
    tried = DATA[turns.FILE]
    rows = tuple(dataclasses.replace(row, verdict="equivalent") for row in tried.rows)
    assert reached({turns.FILE: dataclasses.replace(tried, rows=rows)}, "turns change no latency")[0]
    rows = (dataclasses.replace(rows[0], verdict="inconclusive"), *rows[1:])
    assert not reached({turns.FILE: dataclasses.replace(tried, rows=rows)}, "turns change no latency")[0]
    sampled = DATA[sampler.FILE]
    rows = (dataclasses.replace(sampled.rows[0], verdict="slower"), *sampled.rows[1:])
    assert not reached({sampler.FILE: dataclasses.replace(sampled, rows=rows)}, "reading a meter")[0]
