"""What the sources of a user's own models share: their files, inputs, references and torch modules."""
