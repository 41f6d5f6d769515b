"""Git LFS leaves a few lines of text in the place of a large file until it is pulled: a checkpoint of such is none."""

from pathlib import Path

from steelyard.core.errors import CheckpointError

_HEAD = b"version https://git-lfs.github.com/spec/"
_READ = (".safetensors", ".json", ".txt", ".model", ".jinja")


def refuse_pointers(directory: Path) -> None:
    """Raises CheckpointError for a file that a checkpoint is read from and that was not pulled.

    Where an index names the shards, other tensors lie beside them for other programs and may stay where they are.
    """
    index = b"".join(path.read_bytes() for path in directory.glob("*.safetensors.index.json"))
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        aside = path.suffix == ".safetensors" and index and f'"{path.name}"'.encode() not in index
        if path.suffix in _READ and path.is_file() and not aside and _is_pointer(path):
            raise CheckpointError(
                f"{path} is a pointer of Git LFS and not the file itself: run `git lfs pull` in {directory}"
            )


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEAD)) == _HEAD
