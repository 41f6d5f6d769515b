"""One file or folder per suite; each exports `SUITE`."""
