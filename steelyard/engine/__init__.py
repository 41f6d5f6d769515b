"""Plan, rounds, supervisor, worker."""
