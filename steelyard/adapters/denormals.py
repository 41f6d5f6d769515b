"""What a runtime does with numbers below the smallest normal one, in the words of `Proof.budget`."""

TINY = 1e-40
"""A float32 below the smallest normal one."""


def in_words(kept: int, tried: int) -> str:
    """What became of so many products of denormal numbers, none of which should be zero."""
    if kept == tried:
        return "kept"
    return "count as zero" if kept == 0 else f"count as zero in some threads ({kept} of {tried} products kept)"
