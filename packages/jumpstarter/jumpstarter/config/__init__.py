"""Configuration: the data of exporter, client and user files, and reading and writing those files.

Nothing is imported here, so that the names of environment variables (`jumpstarter.config.env`) cost
nothing to those who need only them.
"""
