"""A source: a file `NAME.matrix` with rows of numbers, w; the program is y = x @ w."""

from steelyard.core.errors import LoweringError
from steelyard.core.workload import Program, TensorSpec, Weights
from steelyard.lowering.format import Draft
from steelyard.lowering.origin import Opened, Source
from steelyard.lowering.own.files import all_are_inputs, file_sha256, spec_of, unchanged
from steelyard.lowering.own.references import write_references
from steelyard.lowering.weights import FILE

_HERE = "steelyard_example_plugin.matrix"


def load(path, dtype="float32"):
    """The matrix."""
    import numpy as np

    return np.loadtxt(path, delimiter=",", dtype=dtype, ndmin=2)


def write(arguments, directory, local):
    """Keep the user's file."""
    from safetensors.numpy import save_file

    save_file({"w": load(unchanged(local, arguments["sha256"], "matrix"))}, directory / FILE)


class Opening(Opened):
    """See the module."""

    def __init__(self, found):
        self.found = found

    def draft(self, form, option, directory):
        """Rows of text again."""
        from safetensors.numpy import load_file

        if form.name != "csv":
            raise LoweringError("a matrix is had as rows of text only")
        matrix = load_file(self.found.weights.path / FILE)["w"]
        (directory / "w.csv").write_text("\n".join(",".join(map(repr, row)) for row in matrix.tolist()))
        return Draft(entry="w.csv", weight_bytes=matrix.nbytes)


class Matrix(Source):
    """See the module."""

    name = "matrix"
    packages = ("numpy",)
    suffixes = (".matrix",)

    def program_of(self, path, shapes):
        """As many rows of x as asked for."""
        rows, columns = load(path).shape
        inputs = (spec_of(path, "x", ["rows", rows], "float32", shapes),)
        all_are_inputs(path, shapes, inputs)
        return Program(
            name=path.stem,
            source=f"{_HERE}:load",
            arguments={},
            weights=Weights(source=f"{_HERE}:write", arguments={"sha256": file_sha256(path)}, origin="checkpoint"),
            dtype="float32",
            inputs=inputs,
            outputs=(TensorSpec(name="y", shape=(inputs[0].shape[0], columns), dtype="float32"),),
            kind=self.name,
        )

    def references(self, point, weights, shared, count, directory):
        """By torch, in float64."""
        from safetensors.torch import load_file

        program = point.programs["main"]
        matrix = load_file(weights[program.weights.key].path / FILE)["w"]
        return write_references(
            point,
            count,
            directory,
            narrow=lambda given: {"y": given["x"] @ matrix},
            exact=lambda given: {"y": given["x"].double() @ matrix.double()},
            exactly="torch in float64",
            otherwise="torch in float32",
        )

    def open(self, found):
        """See `Opening`."""
        return Opening(found)


SOURCE = Matrix()
