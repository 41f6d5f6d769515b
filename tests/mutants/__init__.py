"""Guards removed one at a time: each removal must fail a test."""
