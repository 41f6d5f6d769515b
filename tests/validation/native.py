"""The native variants: what they share. Each is its runtime's own runner, given a Llama written for that runtime."""

from collections.abc import Mapping
from typing import Any, ClassVar

from steelyard import plugins
from steelyard.core.backend import BackendSpec
from tests.validation.wrapped import Wrapped

IDLE = "it shows what the path of a backend costs, for Llama alone: make agreement"


class NativeRunner(Wrapped):
    """Environment, start, threads, precision, counters and tunings are those of the backend `of`."""

    of: ClassVar[str]
    """The backend whose runtime it uses."""

    accepts: ClassVar[Mapping[str, str]] = {}
    kinds: ClassVar[tuple[str, ...]] = ("cpu",)
    idle: ClassVar[str] = IDLE

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the tables of the backend, so that both sides have the same."""
        super().__init_subclass__(**options)
        kind = plugins.runner(cls.of)
        cls.tunings, cls.keeps_cache = kind.tunings, kind.keeps_cache

    @classmethod
    def wrapped(cls, backend: BackendSpec) -> BackendSpec:
        """The backend, without options."""
        return BackendSpec(runner=cls.of)

    @classmethod
    def needs(cls, backend: BackendSpec) -> tuple[str, ...]:
        """Nothing that lowering converts: configuration and weights are enough."""
        return ("module",)
