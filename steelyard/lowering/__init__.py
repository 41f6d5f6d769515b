"""From a torch module to the formats that backends consume, cached by content."""
