"""What traced launches say: own times of kernels, classes of operators, shares of a call, files for other tools."""
