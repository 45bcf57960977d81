"""An emulator of the Azure Functions host that runs an unmodified ``function_app.py`` on the real SDKs.

The host starts a language worker as a process of its own. The worker loads the app by the rules of the real one. Its functions get
their values through the converters of the SDK. The durable engine, in the host, speaks the protocol of the SDK. It stores its state
in SQLite instead of Azure Storage.

It runs triggers of the types HTTP, timer, SQL, activity, orchestration and entity, and the durable client as input binding. Any
other binding fails the start with an error that names it.

Where it differs from the real service, and why:

* A step of the engine is one transaction. The history holds each event exactly once, and no completion is delivered twice: tests
  need results that do not depend on chance. As in the real host, activities run again if the process dies while they run.
* An external event is delivered when the orchestrator awaits it, in the order of arrival. It survives continue-as-new. The real
  host delivers at once; the SDK then loses or doubles events that come early.
* An unknown activity, sub-orchestration or entity fails the instance. So does an impossible child id. In the real host the instance
  runs for ever, and no test could see that.
* A retry can go on while the orchestrator has gone on too, after a failed ``task_all``. This fails the instance. In the real host
  results may go to the wrong tasks.
* Live instances cannot be purged. In the real host a purge by id removes them too, and what runs of them goes astray.
* ``call_http`` has no tokens of managed identities and does not poll on 202: there is no identity here.
* Entities have no queue of scheduled operations and no locks. The SDK for Python does not offer them.
* Timers of cancelled tasks are dropped at once. In the real host they fire and are ignored.
* Queues are not polled: what is due starts at once. A termination or a signal to an entity takes effect at once, too. The delays of
  the real queues depend on their past. They last from a tenth of a second up to the longest polling interval.
* An episode is run again if the worker ends in it. For the extension of 2024 its source says so of time-outs only.
* Keys are required only with ``--enable-auth``. There is one host key for all functions. Each function has keys of its own besides:
  ``/admin/functions/{name}/keys`` lists, sets and removes them. The real host may have several host keys.
* Scale is one host. A second one on the same data directory is refused, since SQLite has one writer. So no host takes over timers
  and orchestrations from another, and ``run_on_startup`` counts only at a start.
* The host does not end when its storage is away: the storage is a file beside it.
* Pauses between retries of a timer do not outlive the host. The real one forgets them too, but its lock on the timer lasts a while.
* An app that cannot be loaded ends the host. The real host stays up, without functions.
* host.json keys, settings and arguments of decorators that are not known fail the start. The real host passes over them.
* A log line in a callback of the loop is dropped. The real worker gives it the invocation that began last.
* A worker whose host was killed ends when its functions have ended. The real one stays, and does nothing.
* The host does not watch files, and does not restart when one changes.
"""
