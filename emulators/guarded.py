"""``python -m emulators.guarded MODULE ARGUMENTS``: run a module that must not outlive the process which started it.

The starter holds the other end of this process's standard input. When it closes, because the starter ended in whatever
way (killed too), this process is killed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _die_with_the_starter() -> None:
    while os.read(0, 4096):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # and what it has started
    os._exit(1)


def main() -> None:
    threading.Thread(target=_die_with_the_starter, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
