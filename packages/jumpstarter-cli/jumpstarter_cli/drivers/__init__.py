"""What a driver class says of itself: its fields, and what it exports."""
