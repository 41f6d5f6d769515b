"""Sections of the report, one file each. A file exports `SECTION`, a `steelyard.tables.section.Section`: its tables and
where each stands among all. Another package offers one through the entry-point group `steelyard.sections`.
"""
