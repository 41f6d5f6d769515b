"""What `steelyard.guard.visible` asks of NVML's module, of a machine with one board: for stand-ins in Python."""

from types import SimpleNamespace


class OneBoard:
    """Functions of `pynvml` about a board that cannot be split; the stand-in has NVMLError and the rest."""

    NVML_ERROR_INVALID_ARGUMENT = 2

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, board):
        return "GPU-of-a-test"

    def nvmlDeviceGetPciInfo(self, board):
        return SimpleNamespace(domain=0, bus=1, device=0)

    def nvmlDeviceGetMigMode(self, board):
        raise self.NVMLError(3)
