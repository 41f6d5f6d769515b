"""The function behind the name of a `torch.compile` backend."""

from collections.abc import Callable
from typing import Any, cast

from steelyard.core.errors import UsageError, unknown_name
from steelyard.plugins import load_attribute


def dynamo_backend(provider: str | None) -> Callable[..., Any]:
    """The function behind a backend's name or `module:function`. Raises UsageError, with the closest names first."""
    import torch._dynamo

    if provider is not None and ":" in provider:
        function = load_attribute(provider)
        if not callable(function):
            raise UsageError(f"'{provider}' is a {type(function).__name__}, not a function that compiles a graph")
        return cast(Callable[..., Any], function)
    names = torch._dynamo.list_backends(exclude_tags=())
    if provider not in names:
        raise unknown_name("torch.compile backend", provider or "", names)
    try:
        return cast(Callable[..., Any], torch._dynamo.lookup_backend(provider))
    except Exception as error:
        raise UsageError(f"torch.compile backend '{provider}' does not load: {error}") from error
