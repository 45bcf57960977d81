"""``python -m emulators.functions_host.worker``: the worker's side; the pipes are standard input and output."""

from __future__ import annotations

import os
import sys

from emulators.functions_host.worker.service import serve

if __name__ == "__main__":
    serve(os.dup(0), os.dup(1))
    sys.exit(0)
