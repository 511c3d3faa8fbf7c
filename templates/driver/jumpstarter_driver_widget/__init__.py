"""Widgets on the bench: `driver` runs in the exporter, `client` in the test."""
