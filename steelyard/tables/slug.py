"""Names of files from any text."""

import re


def slug(text: str) -> str:
    """A part of a file name from any text: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
