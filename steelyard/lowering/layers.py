"""How far the layers of a quantized program are off: its convolutions and products beside those of the plain one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.measure.distance import norm

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]


def layer_errors(plain: "Arrays", quantized: "Arrays") -> dict[str, float]:
    """|quantized - plain| / |plain| in the 2-norm of each layer's output, by name, in the order of `plain`.

    Both are of one call with the same inputs, so that the error of a layer holds those of all before it. Layers that
    only one of the two has, or whose outputs have another shape, are left out.
    """
    import numpy as np

    found = {}
    for name, reference in plain.items():
        actual = quantized.get(name)
        if actual is None or actual.shape != reference.shape:
            continue
        wide = np.asarray(reference, dtype=np.float64)
        scale, error = norm(wide), norm(np.asarray(actual, dtype=np.float64) - wide)
        if scale and np.isfinite(error):
            found[name] = float(f"{error / scale:.4g}")
    return found
