"""An emulator of the Azure Functions host that runs an unmodified ``function_app.py`` on the real SDKs.

Host and language worker are one process here. The app is loaded by the worker's rules, its functions get their values through the
SDK's own converters, and the durable engine speaks the SDK's protocol, stored in SQLite instead of Azure Storage.

It runs triggers of the types HTTP, timer, SQL, activity, orchestration and entity, and the durable client as input binding. Any
other binding is refused at the start, by name.

Where it differs from the real service:

* A step of the engine is one transaction, so the history holds each event exactly once, and completions are never delivered twice.
  Activities are run again, as there, when the process dies while they run.
* An external event is delivered only when the orchestrator awaits it, in the order of arrival, and survives continue-as-new. The
  real host delivers at once; the SDK then loses or doubles events that come early.
* An unknown activity, sub-orchestration or entity, or an impossible child id, fails the instance. There it runs for ever.
* A retry that goes on while the orchestrator has gone on too (after a failed ``task_all``) fails the instance. There results may go
  to the wrong tasks.
* Live instances cannot be purged. There a purge by id removes them too.
* ``call_http`` knows no tokens of managed identities and does not poll on 202.
* Entities have no queue of scheduled operations, no locks: the SDK for Python does not offer them.
* Timers of cancelled tasks are dropped at once. There they fire and are ignored.
* Sync functions share a thread pool as in the worker, but orchestrators and entities have one of their own.
* Keys are asked for only with ``--enable-auth``; there is one host key for all functions.
* Scale is one process: another host on the same data directory is refused.
"""
