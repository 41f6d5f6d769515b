"""A fact of the machine: a plain value, or null with the reason, in the form that the manifest stores."""

from typing import Any


def absent(reason: str) -> dict[str, Any]:
    """A fact that cannot be told."""
    return {"value": None, "reason": reason}


def value_or_absent(value: Any, reason: str) -> Any:
    """The value; where there is none, the reason."""
    return absent(reason) if value is None or value in ("", [], {}) else value


def value_of(fact: Any) -> Any:
    """The plain value; None of a fact that could not be told."""
    return None if isinstance(fact, dict) and set(fact) == {"value", "reason"} else fact
