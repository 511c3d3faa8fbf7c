"""The power interface, its client and a mock."""
