"""What runners of one kind share: runtimes with bound memory, and those that call a torch module."""
