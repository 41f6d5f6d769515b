"""The text that was generated, beside the reference's."""

from steelyard.tables.facts import Facts
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table


def texts_table(facts: Facts) -> Table:
    """What each backend generated, and whether it is the reference's text."""
    rows = []
    for point in facts.points:
        lowered = facts.run.manifest.lowered.get(point.key)
        reference = None if lowered is None else lowered.reference_text
        if reference is not None:
            rows.append(_text_row(facts.label(point), "reference (fp64 eager)", reference, "", point.workload))
        for arm in facts.arms:
            # The text of a wrong answer is shown too: it is the evidence.
            texts = list(dict.fromkeys(r.text for r in facts.results(arm, point) if r.text is not None))
            for text in texts:
                same = "not comparable" if reference is None else ("same" if text == reference else "differs")
                rows.append(_text_row(facts.label(point), arm.label, text, same, point.workload))
    return Table(
        name="texts",
        title="Generated text",
        caption="The text that each backend generated, greedily, from the same prompt.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="text", title="Text", wide=True),
            Column(key="same", title="Reference"),
        ),
        rows=tuple(rows),
        place="detail",
        empty="no workload of this run generated text",
    )


def _text_row(label: str, arm: str, text: str, same: str, workload: str) -> Row:
    about = {"point": label, "workload": workload, "arm": arm if same else ""}
    return Row(cells=(Cell(text=label), Cell(text=arm), Cell(text=text), Cell(text=same)), tags=about)


SECTION = Section(name="texts", tables={2500: texts_table})
