"""Emulators that tests start are forks of a warm process, where there is fork."""

from __future__ import annotations

import sys

from emulators.process import Emulator
from emulators.warm import Forked

if sys.platform == "linux":
    Emulator.starter = Forked
