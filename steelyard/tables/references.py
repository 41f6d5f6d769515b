"""The bibliography of a run: the runtimes that ran, its models and this tool, as BibTeX.

What an entry says stands with what it describes: `Runner.citation`, `Suite.citations`. Runners are looked up by
their registered names only: a stored run names no module that a report would import.
"""

from collections.abc import Sequence

from steelyard import plugins
from steelyard.core.citation import Citation
from steelyard.core.hashing import stable_hash
from steelyard.tables.facts import Facts
from steelyard.tables.latex import escape
from steelyard.tables.slug import slug
from steelyard.tables.table import About, Reference

STEELYARD = Citation(
    key="steelyard",
    title="steelyard: benchmarking AI compilers and runtimes on the same work",
    authors=("The steelyard authors",),
    year=2026,
)
_BRACES = {"{": r"\textbraceleft{}", "}": r"\textbraceright{}"}  # BibTeX counts braces, escaped ones too


def references(facts: Facts) -> tuple[Reference, ...]:
    """This tool, the runtimes in printing order, the models; each once, with the versions that ran as its note."""
    notes: dict[Citation, dict[str, None]] = {STEELYARD: {f"Version {facts.run.manifest.tool_version}": None}}
    about: dict[Citation, About] = {STEELYARD: "tool"}
    for arm in facts.arms:
        if arm.label in facts.versions:
            runtime = _runtime(arm.backend.runner)
            about.setdefault(runtime, "runtime")
            notes.setdefault(runtime, {})[f"Run as {facts.versions[arm.label]}"] = None
    suite = plugins.suites().get(facts.run.manifest.suite)
    models = {} if suite is None else suite.citations
    for point in facts.points:
        citation = models.get(str(point.axes.get("model")))
        if citation is None:
            continue
        about.setdefault(citation, "model")
        for origin in sorted({program.weights.origin for program in point.programs.values()}):
            notes.setdefault(citation, {})[_WEIGHTS[origin]] = None
    keys = [citation.key for citation in notes]
    return tuple(
        Reference(
            key=f"sy-{citation.key}" + (f"-{stable_hash(citation, 6)}" if keys.count(citation.key) > 1 else ""),
            about=about[citation],
            citation=citation,
            note="; ".join(told),
        )
        for citation, told in notes.items()
    )


_WEIGHTS = {
    "real": "Run with its published weights",
    "seeded": "Run with seeded weights",
    "checkpoint": "Run with the weights of a checkpoint",
}


def bibtex(entries: Sequence[Reference]) -> str:
    """A `.bib` file that BibTeX and biber read: ASCII, every text escaped, titles in the case they are given in."""
    head = "% The runtimes that ran, the models and the tool. Keys start with sy- and stay the same from run to run.\n"
    return "\n".join([head, *(_entry(entry) for entry in entries)])


def _runtime(name: str) -> Citation:
    """What the runner says of itself; its name where it says nothing, or is not installed here."""
    found = plugins.runners().get(name)
    if found is not None and found.citation is not None:
        return found.citation
    plain = slug(name)
    return Citation(key=plain if plain == name else f"{plain}-{stable_hash(name, 6)}", title=name)


def _entry(entry: Reference) -> str:
    about = entry.citation
    fields = {
        "author": " and ".join(_author(name) for name in about.authors),
        # what styles sort and label by where nobody is named
        "key": "" if about.authors else f"{{{_text(about.title)}}}",
        "title": f"{{{_text(about.title)}}}",
        "booktitle": _text(about.booktitle),
        "publisher": _text(about.publisher),
        "year": "" if about.year is None else str(about.year),
        "eprint": about.eprint,
        "archiveprefix": "arXiv" if about.eprint else "",
        "doi": about.doi,
        "url": about.url,
        "note": _text(entry.note),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{about.kind}{{{entry.key},", *lines, "}", ""])


def _author(name: str) -> str:
    """A person as BibTeX takes it apart; an organisation in braces, so that it stays whole."""
    return _text(name) if "," in name or name == "others" else f"{{{_text(name)}}}"


def _text(text: str) -> str:
    """A text with balanced braces; what is more than ASCII stands in braces, as BibTeX takes it for one letter."""
    parts = []
    for character in " ".join(text.split()):
        escaped = _BRACES.get(character) or escape(character)
        parts.append(escaped if character.isascii() else f"{{{escaped}}}")
    return "".join(parts)
