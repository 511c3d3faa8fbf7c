"""The core of Jumpstarter: drivers, exporters, clients, and the streams between them.

gRPC reads its settings once, when it is first used, so the defaults are set here, before anything
below this package can import it.
"""

import os
import sys

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("GLOG_minloglevel", "2")
# Set only while gRPC will still read it, so that the variable tells what holds in this process.
if "grpc" not in sys.modules:
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
