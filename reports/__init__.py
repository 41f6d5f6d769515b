"""One file per output; each exports `REPORT`."""
