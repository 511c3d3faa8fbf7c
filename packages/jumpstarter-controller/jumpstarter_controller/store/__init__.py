"""Where the lab is kept."""
