"""Worker side: the timed loop, steady state, memory, correctness."""
