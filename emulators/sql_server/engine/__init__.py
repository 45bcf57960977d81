"""The database and its sessions: what the wire talks to.

Where it differs from the real server, on purpose:

* one writer at a time for the whole database: a transaction holds the write lock from its first write to its end. Readers never
  wait and see committed rows, statement by statement; NOLOCK sees no uncommitted rows, READPAST skips none. REPEATABLE READ
  takes no locks: a table that was read, then overtaken, then written gives 1205. SERIALIZABLE and UPDLOCK, XLOCK, HOLDLOCK,
  TABLOCKX take the write lock.
* a lock is waited for 30 s, then 1222 (the real server waits for ever); SET LOCK_TIMEOUT and sp_getapplock count real time.
* errors of names (207, 22105, …) come when the statement is reached, not before the batch starts.
* strings sort by code point without case, uniqueidentifiers as text; varchar has code page 1252.
* CHANGETABLE(VERSION …) gives no row for a key that is neither in the table nor in the retained history.
* procedures, functions, triggers, cursors, sequences, synonyms, FORMAT, PIVOT, GROUPING SETS, TOP PERCENT and WITH TIES, FOR
  XML, half of a surrogate pair and what else is not here are refused by name with error 40517.
"""
