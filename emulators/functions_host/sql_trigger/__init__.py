"""The SQL trigger: polls a table's change tracking, leases changed rows, hands them to a function and releases them."""

from emulators.functions_host.sql_trigger.errors import ListenerError
from emulators.functions_host.sql_trigger.listener import SqlTriggerListener

__all__ = ["ListenerError", "SqlTriggerListener"]
