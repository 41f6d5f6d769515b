"""Environments of backends: a runtime whose pins conflict with others, or another version of one, in a virtual
environment of its own, driven by the same supervisor."""
