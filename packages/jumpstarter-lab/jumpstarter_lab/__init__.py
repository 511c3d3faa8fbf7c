"""A whole lab in one process: `running_lab` runs a controller and a router."""

from .lab import Lab, LabConfig, running_lab

__all__ = ["Lab", "LabConfig", "running_lab"]
