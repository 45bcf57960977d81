"""An emulator of the Azure Functions host that runs an unmodified ``function_app.py`` on the real SDKs.

Host and language worker are one process here. The app is loaded by the rules of the worker. Its functions get their values through
the converters of the SDK. The durable engine speaks the protocol of the SDK. It stores its state in SQLite
instead of Azure Storage.

It runs triggers of the types HTTP, timer, SQL, activity, orchestration and entity, and the durable client as input binding. Any
other binding fails the start with an error that names it.

Where it differs from the real service:

* A step of the engine is one transaction. The history holds each event exactly once, and no completion is delivered twice. As in
  the real host, activities run again if the process dies while they run.
* An external event is delivered when the orchestrator awaits it, in the order of arrival. It survives continue-as-new. The real
  host delivers at once; the SDK then loses or doubles events that come early.
* An unknown activity, sub-orchestration or entity fails the instance. So does an impossible child id. In the real host the instance
  runs for ever.
* A retry can go on while the orchestrator has gone on too, after a failed ``task_all``. This fails the instance. In the real host
  results may go to the wrong tasks.
* Live instances cannot be purged. In the real host a purge by id removes them too.
* ``call_http`` has no tokens of managed identities and does not poll on 202.
* Entities have no queue of scheduled operations and no locks. The SDK for Python does not offer them.
* Timers of cancelled tasks are dropped at once. In the real host they fire and are ignored.
* Sync functions share a thread pool as in the real worker. Orchestrators and entities have a pool of their own.
* Keys are required only with ``--enable-auth``. There is one host key for all functions. Each function has keys of its own besides:
  ``/admin/functions/{name}/keys`` lists, sets and removes them. The real host may have several host keys.
* Scale is one process. A second host on the same data directory is refused.
"""
