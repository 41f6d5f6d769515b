"""What is in the virtual environment of a backend that has one of its own."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualEnvironment:
    """The version of its interpreter, and of every package found in it, by name. What was installed from a commit has
    it behind the version. `inherits` says whether it sees packages of the environment of `bench` beneath its own."""

    python: str
    packages: Mapping[str, str]
    inherits: bool = False

    @property
    def lock(self) -> str:
        """The packages as a requirements file, without this project, which `bench env create` puts in itself. What came
        from a commit is no release: a comment says which it was."""
        lines = []
        for name, version in self.packages.items():
            released, _, commit = version.partition(" ")
            if name != "steelyard":
                lines.append(f"# {name} {released}, commit {commit.strip('()')}" if commit else f"{name}=={released}")
        return "".join(f"{line}\n" for line in lines)
