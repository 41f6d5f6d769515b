"""One TOML file per device model, every number with its source."""
