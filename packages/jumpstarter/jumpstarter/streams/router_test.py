"""The public path of `RouterStream`, which lives a layer above."""

import subprocess
import sys

import pytest

from jumpstarter.rpc import router_stream
from jumpstarter.streams import router


def test_it_is_the_same_class():
    assert router.RouterStream is router_stream.RouterStream


def test_importing_the_path_does_not_load_grpc():
    program = "import sys, jumpstarter.streams.router\nprint('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        getattr(router, "Other")  # noqa: B009 - a type checker knows that it is not there
