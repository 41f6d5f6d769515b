"""What a proof says, held against what was asked: nothing that a runtime tells of itself is stored unjudged."""

from steelyard.core.backend import Budget
from steelyard.core.result import Proof
from steelyard.core.workload import DTYPE_BYTES, DType


def unkept(proof: Proof, dtype: DType, budget: Budget) -> tuple[str, ...]:
    """In what a program of `dtype` did not run as it was asked to: what its runner objects to, and what any proof
    tells. A value that the runtime does not tell is no objection."""
    found = list(proof.mismatches)
    if proof.threads is not None and proof.threads != budget.threads:
        found.append(f"{proof.threads} threads compute, the budget says {budget.threads}")
    width = DTYPE_BYTES.get(proof.dtype)
    if budget.precision == "strict" and width is not None and width < DTYPE_BYTES[dtype]:
        found.append(f"computed in {proof.dtype}, the program is {dtype}")
    if proof.graphs == 0:
        found.append("the compiler was given no graph: the program ran as it was written")
    if proof.graph_breaks:
        breaks = "1 graph break" if proof.graph_breaks == 1 else f"{proof.graph_breaks} graph breaks"
        found.append(f"{breaks}: parts of the program ran as they were written")
    return tuple(found)
