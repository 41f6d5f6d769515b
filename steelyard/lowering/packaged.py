"""Files of weights that installed packages carry, found without importing them."""

import base64
import importlib.metadata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from steelyard.core.hashing import file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """A file of an installed package, with the package's version."""

    version: str
    sha256: str
    path: Path


@cache
def packaged(package: str, pattern: str) -> Packaged | None:
    """The first file of a package whose path in it matches a pattern (`*/model.onnx`), None where there is none.

    The sha256 is the one that the package's own record states, so that planning need not read the file; whoever reads
    it compares the two.
    """
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in distribution.files or ():
        path = Path(str(file.locate()))
        if file.match(pattern) and path.is_file():
            recorded = file.hash.value if file.hash is not None and file.hash.mode == "sha256" else None
            sha256 = base64.urlsafe_b64decode(recorded + "=").hex() if recorded else file_sha256(path)
            return Packaged(version=distribution.version, sha256=sha256, path=path)
    return None
