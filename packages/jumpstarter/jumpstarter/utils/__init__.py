"""Import paths that packages of others use; no code lives below this package."""
