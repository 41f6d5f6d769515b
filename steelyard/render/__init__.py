"""From tables and records to files: drawing, layout, text for TeX and Typst, data of the page."""
