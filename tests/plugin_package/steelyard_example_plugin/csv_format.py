"""A format: the program's one weight as rows of text."""

from steelyard.lowering.format import Draft, Format


def convert(source, directory, option):
    """Write `w.csv`."""
    rows = source.tensors["w"].tolist()
    (directory / "w.csv").write_text("\n".join(",".join(map(repr, row)) for row in rows))
    return Draft(entry="w.csv", weight_bytes=source.weight_bytes)


FORMAT = Format(name="csv", packages=(), extra="torch", convert=convert)
