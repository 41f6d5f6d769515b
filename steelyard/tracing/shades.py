"""How classes of operators are drawn, the same in every figure."""

from steelyard.tracing.classes import IDLE

SHADES = {
    "matmul": ("#0072B2", ""),
    "convolution": ("#56B4E9", ""),
    "attention": ("#009E73", ""),
    "recurrent": ("#009E73", "////"),
    "normalisation": ("#F2C45A", ""),
    "elementwise": ("#D55E00", ""),
    "reduction": ("#CC79A7", ""),
    "layout": ("#8c8c8c", ""),
    "embedding": ("#0072B2", "////"),
    "control": ("#c6c6c6", "////"),
    "overhead": ("#c6c6c6", ""),
    "unknown": ("#ffffff", "xxxx"),
    IDLE: ("#ffffff", ""),
}
"""Colour and hatch of each class; of two classes with one colour the hatch tells them apart."""
