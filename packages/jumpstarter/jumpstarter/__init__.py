"""The core of Jumpstarter: drivers, exporters, clients, and the streams between them.

gRPC reads its verbosity once, when it is first used, so the defaults are set here, before anything
below this package can import it.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("GLOG_minloglevel", "2")
