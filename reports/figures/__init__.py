"""One file per figure; each exports `FIGURE`. The package itself is the report `figures`, which writes them."""

from pathlib import Path

from steelyard.render.output import ReportInputs, save
from steelyard.tables.latex import escape


class Figures:
    """`figures/NAME.pdf`, `.svg`, `.png`, its data as `NAME.csv` and its caption as `NAME.tex`."""

    name = "figures"
    draws = True
    kind = "figures"

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write five files a figure; a figure without data is named with its reason in `figures/absent.txt`."""
        folder = directory / self.name
        files: list[Path] = []
        absent: list[str] = []
        for picture in inputs.pictures:
            if picture.reason:
                absent.append(f"{picture.name}: {picture.reason}\n")
                continue
            contents: dict[str, str | bytes] = {
                "pdf": picture.pdf,
                "svg": picture.svg,
                "png": picture.png,
                "csv": picture.csv,
                "tex": escape(picture.caption) + "\n",
            }
            files += [save(folder / f"{picture.name}.{kind}", content) for kind, content in contents.items()]
        if absent:
            files.append(save(folder / "absent.txt", "".join(absent)))
        return tuple(files)


REPORT = Figures()
