"""Forms in which runtimes take programs, one file or folder each, which exports `FORMAT`: a
`steelyard.lowering.format.Format`. Another package offers one through the entry-point group `steelyard.formats`.
"""
