"""Where programs come from, one file each, which exports `SOURCE`: a `steelyard.lowering.origin.Source`. Another
package offers one through the entry-point group `steelyard.sources`.
"""
