"""pyserial: an echo, a device behind a pseudo-terminal, and the command line."""

import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance

