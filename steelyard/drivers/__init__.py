"""Ways to make a call, one file each. A file exports `DRIVER`, an instance of `steelyard.measure.driver.Driver`.

What a driver tells is all that is known of it anywhere: a new one needs no change elsewhere. Another package offers one
through the entry-point group `steelyard.drivers`.
"""
