"""A runtime whose new version is slower: numpy's version stands for it."""

from typing import ClassVar

import numpy as np

from steelyard.core.runner import LaunchContext
from steelyard.selftest.backends import Known

OLD = "2.2.6"


class Versioned(Known):
    requirements: ClassVar[tuple[str, ...]] = ("numpy",)
    slower_s = 0.002

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.spin_s = 0.001 if np.__version__ == OLD else self.slower_s


class Alike(Versioned):
    """Both versions take as long."""

    slower_s = 0.001
