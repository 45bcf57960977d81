"""The marks that Rowpost writes into the trigger's lease table, and the numbers that they rest on.

The trigger counts hand-outs of a row in its lease, and forgets the row at five.
"""

from __future__ import annotations

LEASE_SECONDS = 60  # the extension's lease: a failed row comes again when it lapses
GUARDED_COUNT = 4  # hand-outs without an outcome at which a row is stopped: one before the trigger forgets it
UNSETTLED_COUNT = 3  # a settled failure puts the count back to 0: three mean that no hand-out of the row ever ended
PROTECT_SECONDS = 300  # how long an exhausted row is held until recovery has planned it; then the trigger tries it again

# The change version in the lease of a row that recovery posts: no advance of the trigger's cursor reaches it, so that none removes
# the lease.
REDELIVERED_VERSION = 2**63 - 1

# Counts of parked rows, which the watchdog adopts. The extension never writes a count below zero, and treats it as any below five.
PARKED_COUNT = -1  # handed out again and again without an outcome
NEVER_HANDED_OUT = -2  # not handed out at all: the trigger stands still
