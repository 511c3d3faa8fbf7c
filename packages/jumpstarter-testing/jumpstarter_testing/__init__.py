"""Test device software with pytest on real hardware."""
