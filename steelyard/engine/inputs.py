"""The tensors of an input set or a reference, as the lowering stored them."""

from typing import Any

from safetensors import safe_open


def tensors(path: str) -> dict[str, Any]:
    """All tensors of a safetensors file as numpy arrays; bfloat16 is that of `ml_dtypes`."""
    import ml_dtypes  # noqa: F401 (numpy learns the type from it, which safetensors asks numpy for)

    with safe_open(path, framework="np") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
