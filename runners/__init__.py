"""One file per runtime; each exports `RUNNERS`."""
