"""The part of the page that shows the stage `simulate`."""

from collections.abc import Callable, Sequence

from tests.calibration.noise import MODELS
from tests.calibration.rates import percent, rate, table
from tests.calibration.simulate import METHODS, Counts, Simulated

TARGET = (0.93, 0.97)
_ORDERS = METHODS[:2]
_REASONS = {
    "above": "The balanced order takes a trend out of the estimate, as every arm has every position equally often, "
    "but not out of the scatter between rounds that the width is made from, and Student's interval is wider than it "
    "need be where few launches take one of two levels.",
    "below": "The ranks ask that a round favours either arm by any amount with the same chance, independently of the "
    "other rounds, and Student's interval that log ratios are normal; this noise does not keep to that.",
}


def section(data: Simulated) -> list[str]:
    """The Markdown lines of the stage."""
    rounds = sorted({found.rounds for found in data.settings})
    models = list(dict.fromkeys(found.model for found in data.settings))
    repetitions = sorted({found.repetitions for found in data.settings})
    of = " or ".join(f"{count:,}" for count in repetitions)
    return [
        "## Simulated comparisons",
        "",
        f"For each model of noise and each number of rounds {of} runs were drawn of which the truth is known: a "
        f"baseline, a candidate and the control arm, {data.calls} calls a launch. They go through the product's own "
        "functions: median of each launch, log ratios paired by round in the engine's order, noise floor from the "
        "control arm, verdict. The other methods get the same calls. *Blocked order* puts the same noise, in the same "
        "time, to the baseline's launches first, then the candidate's, then the control's, and judges them by the same "
        "rule. The warm-up is not simulated. "
        + f"Made with {', '.join(f'{name} {text}' for name, text in data.versions.items())}; "
        "the seeds are in the data.",
        "",
        *table(("noise", "what it is"), [(name, MODELS[name].meaning) for name in models], numeric_from=2),
        *_coverage(data, models, rounds),
        *_false_alarms(data, models, rounds),
        *_claims(data, models, rounds),
        *_power(data, models, rounds),
    ]


def _at(data: Simulated, model: str, rounds: int) -> Counts:
    return next(found for found in data.settings if (found.model, found.rounds) == (model, rounds))


def _coverage(data: Simulated, models: Sequence[str], rounds: Sequence[int]) -> list[str]:
    """How often the 95 % interval holds the true ratio."""
    attained = [percent(_at(data, models[0], number).attained) for number in rounds]
    rows = [("*promised by the rule*", *attained)]
    outside: dict[str, list[str]] = {"above": [], "below": []}
    for model in models:
        cells = []
        for number in rounds:
            found = _at(data, model, number)
            share = found.covered / found.repetitions
            cells.append(rate(found.covered, found.repetitions))
            if not TARGET[0] <= share <= TARGET[1]:
                side = "above" if share > TARGET[1] else "below"
                outside[side].append(f"{model} at {number} rounds ({percent(share)} %)")
        rows.append((model, *cells))
    told = [] if any(outside.values()) else [f"All lie within {percent(TARGET[0])} to {percent(TARGET[1])} %."]
    for side, reason in _REASONS.items():
        if outside[side]:
            bound = percent(TARGET[1] if side == "above" else TARGET[0])
            told.append(f"{side.capitalize()} {bound} %: {'; '.join(outside[side])}. {reason}")
    return [
        "### Coverage",
        "",
        "How often the 95 % interval holds the true ratio, in percent, with the Clopper-Pearson interval of that "
        "share. Below 8 rounds it is Student's, from 8 on that of the signed ranks, whose distribution is discrete, so "
        f"that it promises somewhat more than 95 %; the first row says how much. {' '.join(told)}",
        "",
        *table(("noise", *(f"{number} rounds" for number in rounds)), rows),
    ]


def _false_alarms(data: Simulated, models: Sequence[str], rounds: Sequence[int]) -> list[str]:
    """What is said of two equal programs."""
    rows = []
    worst = (0.0, "")
    for model in models:
        for number in rounds:
            found = _at(data, model, number)
            alarms = [_sum(found.verdicts[order][0], "faster", "slower") for order in _ORDERS]
            share = alarms[0] / found.repetitions
            worst = max(worst, (share, f"{rate(alarms[0], found.repetitions)} %, {model}, {number} rounds"))
            rows.append(
                (
                    model,
                    str(number),
                    *(rate(count, found.repetitions) for count in alarms),
                    *(percent(found.declared[method][0] / found.repetitions) for method in METHODS),
                )
            )
    most = f"The highest rate of the product is {worst[1]}." if worst[0] else "The product gave none at all."
    return [
        "### False alarms",
        "",
        "Both sides are equal. *Verdict*: the share of runs, in percent, called faster or slower. The other columns "
        "are the bare test at 5 %: an interval that excludes no difference, a p-value below 0.05. The verdict "
        f"asks for more than the bare test: the whole interval beyond {percent(data.margin)} % and beyond the noise "
        f"floor. {most} In blocked order the control arm meets the drift as well, and its floor takes the "
        "verdicts away: no false alarm, but hardly any power either (below).",
        "",
        *table(
            ("noise", "rounds", "verdict", "verdict, blocked order", *(f"test: {method}" for method in METHODS)), rows
        ),
    ]


def _claims(data: Simulated, models: Sequence[str], rounds: Sequence[int]) -> list[str]:
    """Verdicts that are wrong about the size of a true effect: the worst model for each effect."""
    rows = []
    for index, effect in enumerate(data.effects):
        wrong = _wrong(effect, data.margin)
        for number in rounds:
            counts = [(_sum(_at(data, model, number).verdicts[_ORDERS[0]][index], *wrong), model) for model in models]
            count, model = max(counts)
            cell = rate(count, _at(data, model, number).repetitions)
            rows.append((f"{100 * effect:g} %", str(number), " or ".join(wrong), cell, model if count else "any"))
    return [
        "### Wrong claims",
        "",
        f"A verdict also speaks of size: faster and slower mean by more than {percent(data.margin)} %, equivalent "
        "means by less. For each true slowdown, how often a verdict is wrong in that sense, in the model in which "
        "that happens most often, in percent.",
        "",
        *table(("true slowdown", "rounds", "wrong verdicts", "share", "noise"), rows),
    ]


def _power(data: Simulated, models: Sequence[str], rounds: Sequence[int]) -> list[str]:
    """What is found of true slowdowns, by each method, on the same data."""
    lines = [
        "### Power",
        "",
        "How often a true slowdown is found, in percent, at "
        f"{', '.join(map(str, rounds))} rounds (in this order). *Slower* and *equivalent* are verdicts; the tests "
        "are those of the false alarms above, in which a high share at a small effect is worth nothing where "
        "the share at 0 % is high too. The simulation's own error is at most 1.6 points.",
        "",
    ]
    for model in models:
        settings = [_at(data, model, number) for number in rounds]
        rows = []
        for verdict, order in (("slower", 0), ("equivalent", 0), ("slower", 1)):
            name = f"verdict *{verdict}*" + (", blocked order" if order else "")
            rows.append(
                (name, *_cells(data, settings, lambda s, e, v=verdict, o=order: s.verdicts[_ORDERS[o]][e].get(v, 0)))
            )
        rows += [
            (f"test: {method}", *_cells(data, settings, lambda s, e, m=method: s.declared[m][e])) for method in METHODS
        ]
        floors = ", ".join(percent(found.floor) for found in settings)
        widths = ", ".join(percent(found.half_width) for found in settings)
        lines += [
            f"**{model}** (median noise floor {floors} %; median half-width of the interval {widths} %)",
            "",
            *table(("", *(f"{100 * effect:g} % slower" for effect in data.effects)), rows),
        ]
    return lines


def _cells(data: Simulated, settings: Sequence[Counts], count: Callable[[Counts, int], int]) -> list[str]:
    """For each effect the shares in all settings, e.g. `3.6 · 3.8 · 4.9`."""
    return [
        " · ".join(percent(count(found, index) / found.repetitions) for found in settings)
        for index in range(len(data.effects))
    ]


def _wrong(effect: float, margin: float) -> tuple[str, ...]:
    if effect < margin:
        return ("faster", "slower")
    return ("faster", "slower", "equivalent") if effect == margin else ("faster", "equivalent")


def _sum(counts: dict[str, int], *names: str) -> int:
    return sum(counts.get(name, 0) for name in names)
