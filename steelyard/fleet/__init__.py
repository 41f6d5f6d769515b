"""A plan's shards on the machines of a group. Slurm queues, places and repeats; this writes the jobs and reads what
became of them."""
