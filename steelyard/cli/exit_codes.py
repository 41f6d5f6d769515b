"""Exit codes beyond 0 (done), 1 (what was asked is not so) and 2 (no answer): `docs/cli.md` lists all of them."""

FAILED = 3
"""A case that was planned as runnable ended neither ok nor unsupported."""
INTERRUPTED = 130
"""Ctrl-C or a request to end: what was measured is kept. 128 and the number of SIGINT, as shells have it."""
NO_READER = 141
"""Standard output has no reader any more, as after `| head`. 128 and the number of SIGPIPE, as shells have it."""
