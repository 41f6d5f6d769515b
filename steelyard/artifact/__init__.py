"""What readers of a paper check: a run against itself, a report against its run, a bundle, and claims measured anew."""
