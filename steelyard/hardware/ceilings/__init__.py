"""What the machine can do, measured: the roofs that results are held against."""
