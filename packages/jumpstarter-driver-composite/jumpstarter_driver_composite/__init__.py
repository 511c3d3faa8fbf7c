"""Trees of drivers: Composite and Proxy."""
