"""The supervisor's guard: how noisy the machine is, and what its energy meters say."""
