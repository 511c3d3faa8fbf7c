"""The commands `jmp` and `j`.

`commands` says what a user may type, and needs click alone; `actions` does it, and is imported when
it is asked for. So help and completion answer at once, whatever the work itself needs.
"""

import os

# gRPC writes to standard error by itself what reaches the user as an error anyway. It reads this
# once, when it is first used, and the core sets a default as soon as it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
