"""Widgets on the bench. Import what you need from `driver` or `client`: neither loads the other."""
