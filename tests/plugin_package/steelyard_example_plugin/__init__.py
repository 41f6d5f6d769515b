"""Backends that live outside steelyard: a runner (`aten`), its variant, and a torch.compile backend."""
