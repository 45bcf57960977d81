"""The status page of the host: what runs, what waits, and why. It only reads.

Nothing that it does is work of the host: its requests do not hold virtual time, are not calls of the durable client, and ask the
database under an application name of their own. Columns of rows are not shown, but for the keys of leases.
"""

from emulators.functions_host.console.http import CONSOLE_PATH, Console
from emulators.functions_host.console.state import HostState, SqlTrigger

__all__ = ["CONSOLE_PATH", "Console", "HostState", "SqlTrigger"]
