"""The words of the project as frozen, typed dataclasses. Standard library only."""
