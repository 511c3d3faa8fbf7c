"""Values and decisions: no clock, no logger, no await, no input or output."""
