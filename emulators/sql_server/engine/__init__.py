"""The database and its sessions: what the wire talks to.

Where it differs from the real server, on purpose:

* the whole database has one writer at a time. A transaction holds the write lock from its first write to its end.
* readers never wait. They see committed rows, statement by statement. NOLOCK sees no uncommitted rows, and READPAST skips no rows.
* REPEATABLE READ takes no locks. If another transaction changes a table that was read, a later write to it gives error 1205.
* SERIALIZABLE takes the write lock. So do UPDLOCK, XLOCK, HOLDLOCK and TABLOCKX.
* a statement waits 30 s for a lock, then it fails with error 1222. The real server waits for ever. SET LOCK_TIMEOUT and
  sp_getapplock count real time.
* errors of names (207, 22105, …) come when the statement is reached. In the real server they come before the batch starts.
* strings sort by code point without case, and uniqueidentifiers as text. varchar has code page 1252. Characters beyond the first
  plane differ from each other, which they do not in the oldest collations of the real server.
* change tracking tells keys apart that differ by zeros at the end of a varbinary. INTERSECT and EXCEPT of varbinary, and foreign
  keys of varbinary, are refused.
* a letter that stands for two is equal to them where Python folds it so: ß is ss, also in varchar, but æ, œ and þ are not ae, oe
  and th. Constants, variables and most catalogue columns never conflict with a collation.
* a statement that draws from a sequence takes the write lock. Values that a rolled-back transaction drew can come again after a
  restart.
* CHANGETABLE shows a key whose spelling changed, but not its value, as it was first spelled after the version asked from.
* the catalogue shows all tables and columns to every user. Only security policies are hidden from whom they are hidden there.
* an object always belongs to the owner of its schema, and chains of ownership follow from that. IMPERSONATE does not exist: only an
  owner of the database may give a schema to another user.
* CHANGETABLE(VERSION …) gives no row for a key that is neither in the table nor in the retained history.
* what is missing is refused with error 40517, which names it. Procedures, triggers, cursors, synonyms, and all functions
  but inline table-valued ones are missing. So are FORMAT, PIVOT, GROUPING SETS, TOP PERCENT, WITH TIES, FOR XML, BLOCK predicates,
  and orders of sql_variant.
* expressions nest about a hundred levels deep, and less where each level is a call. Deeper ones are error 191. Chains of one
  operator, as a OR b OR c or a + b + c, have no such limit, but for arithmetic over aggregates and windows.
"""
