"""One module per step, each with the identity of the one before it."""
