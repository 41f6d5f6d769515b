"""Tables with bars that fit the terminal: the same columns in all tables of one page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.cli.terminal import Style, Terminal, cells, folded, padded

_GAP = "  "
_SHORTEST_BAR, _LONGEST_BAR = 8, 40
_SHORTEST_NAME = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BarLine:
    """One row: an arm with its number, its speed-up over the baseline, and the verdict or what went wrong.

    `interval` and `speedup_interval` are bracketed or empty; `length` and `end` are what the bar shows.
    """

    name: str
    value: str = ""
    interval: str = ""
    speedup: str = ""
    speedup_interval: str = ""
    word: str = ""
    style: Style = ""
    dim: bool = False
    length: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table: its title, a line under it, rows, and remarks in their styles. `heads` are of value and speed-up."""

    title: str
    heads: tuple[str, str]
    under: str = ""
    lines: tuple[BarLine, ...] = ()
    remarks: tuple[tuple[str, Style], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BarLayout:
    """Widths of columns, the same in all tables; 0 where a column found no room. Bars and intervals give way first."""

    terminal: Terminal
    name: int
    bar: int
    value: int
    interval: int
    speedup: int
    speedup_interval: int
    word: int

    @classmethod
    def of(cls, blocks: Sequence[Block], terminal: Terminal) -> "BarLayout":
        """Share the terminal's width out."""
        every = [line for block in blocks for line in block.lines]
        heads = [block.heads for block in blocks]

        def widest(*texts: str) -> int:
            return max(map(cells, texts), default=0)

        value = widest(*(head for head, _ in heads), *(line.value for line in every))
        speedup = widest(*(head for _, head in heads), *(line.speedup for line in every))
        word = widest("verdict", *(line.word for line in every))
        left = terminal.width - sum(len(_GAP) + width for width in (value, speedup, word) if width)
        name = min(widest("backend", *(line.name for line in every)), terminal.width // 4, max(left, _SHORTEST_NAME))
        left -= name
        taken: dict[str, int] = {}
        for key, width in (
            ("speedup_interval", widest(*(line.speedup_interval for line in every))),
            ("bar", _SHORTEST_BAR),
            ("interval", widest(*(line.interval for line in every))),
        ):
            gap = len(_GAP) if key == "bar" else 1
            taken[key] = width if 0 < width <= left - gap else 0
            left -= taken[key] + gap if taken[key] else 0
        taken["bar"] += min(left, _LONGEST_BAR - taken["bar"]) if taken["bar"] else 0
        return cls(terminal=terminal, name=name, value=value, speedup=speedup, word=word, **taken)

    def table(self, block: Block) -> Iterator[str]:
        """A block's lines."""
        terminal = self.terminal
        yield from wrapped(block.title, terminal, style="bold")
        if block.under:
            yield from wrapped(block.under, terminal, style="dim")
        verdict = "verdict" if any(line.word for line in block.lines) else ""
        heads = BarLine(name="backend", value=block.heads[0], speedup=block.heads[1], word=verdict)
        yield from self._row(heads, 0.0)
        width = sum(part + 2 for part in (self.name, self.bar, self.value, self.speedup, self.word) if part) - 2
        width += sum(part + 1 for part in (self.interval, self.speedup_interval) if part)
        yield terminal.paint(("─" if terminal.unicode else "-") * min(width, terminal.width), "dim")
        full = max((max(line.end, line.length) for line in block.lines), default=0.0)
        for line in block.lines:
            yield from self._row(line, full)
        for remark, style in block.remarks:
            yield from wrapped(remark, terminal, indent="  ", style=style)

    def _row(self, line: BarLine, full: float) -> Iterator[str]:
        terminal = self.terminal
        first, *rest = folded(terminal.shown(line.name), self.name)
        base: Style = "dim" if line.dim else ""
        parts = [terminal.paint(padded(first, self.name), base)]
        if self.bar:
            drawn = terminal.bar(line.length, line.end, full, self.bar) if full else ""
            parts.append(terminal.paint(padded(drawn, self.bar), "dim" if line.dim else line.style))
        for text, interval, width, room in (
            (line.value, line.interval, self.value, self.interval),
            (line.speedup, line.speedup_interval, self.speedup, self.speedup_interval),
        ):
            if width:
                number = padded(terminal.shown(text), width, right=True)
                bracket = " " + padded(terminal.shown(interval), room) if room else ""
                parts.append(terminal.paint(number, base) + terminal.paint(bracket, "dim"))
        parts.append(terminal.paint(terminal.shown(line.word), line.style))
        yield _GAP.join(parts).rstrip()
        for more in rest:
            yield terminal.paint(more, base)


def wrapped(text: str, terminal: Terminal, indent: str = "", style: Style = "") -> Iterator[str]:
    """Text in lines that fit, each indented."""
    for paragraph in terminal.shown(text).split("\n"):
        for line in folded(paragraph, terminal.width - len(indent)):
            yield indent + terminal.paint(line, style)
