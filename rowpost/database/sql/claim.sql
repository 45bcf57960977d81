/*
Claim a batch: what the lease says of each row, then the row as it is now. One round trip.

The version is read before the data, so that the version that an event carries is never newer than its data.

Parameters: 1. @keys, a JSON array of objects: number, and key with the key columns.
Result sets: 1. for each key: lease version, hand-outs, whether it is leased, the tracked version, and whether the row is in others'
hands, and the key as the lease spells it; 2. for each key: whether the row is there, whether a watched column changed, the key, and
the columns that may leave; 3. for each key whose row is not there: the operation of its last change, its version, the key as change
tracking spells it, and, if change tracking does not know the row, whether no security policy can hide it; 4. the clock, the newest
version, whether the ledger has anything of this table, the client's columns, and the circuit breaker.
Locks: none that last; if a lease is at four hand-outs, the trigger's lock for one update.
If the connection dies: the leases lapse within a minute and the rows come again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @keys nvarchar(max) = ?, @lock int, @last bigint = {cursor};
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
{watch_base}
SELECT k.number,
       l._az_func_ChangeVersion,
       l._az_func_AttemptCount,
       CASE WHEN l._az_func_LeaseExpirationTime IS NOT NULL THEN 1 ELSE 0 END,
       v.SYS_CHANGE_VERSION,
       -- This worker stood still. Another one settled and released the row meanwhile; or the lease was swept away, and the trigger
       -- hands the row out again, since its change lies beyond the cursor.
       CASE WHEN l._az_func_ChangeVersion IS NOT NULL AND l._az_func_LeaseExpirationTime IS NULL
              OR l._az_func_ChangeVersion IS NULL AND v.SYS_CHANGE_VERSION > @last THEN 1 ELSE 0 END AS InOtherHands,
       {read_key_of_l}
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
  LEFT JOIN {leases} l ON {same_key_l_k}
 OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v;
{guard_leases}
SELECT k.number, CASE WHEN t.{first_key} IS NULL THEN 0 ELSE 1 END, {watched}, {read_key_of_k}, {read_columns_of_t}
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
  LEFT JOIN {table} t ON {same_key_t_k}
  {join_watched_k};
-- A security policy hides rows of the table, and no row of change tracking: only the latter knows what was deleted.
DECLARE @missing TABLE (Number int NOT NULL PRIMARY KEY, Version bigint NULL);
INSERT INTO @missing (Number, Version)
SELECT k.number, v.SYS_CHANGE_VERSION
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
 OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v
 WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key_t_k});
DECLARE @since bigint = COALESCE((SELECT MIN(Version) - 1 FROM @missing), @current);
SELECT m.Number,
       c.SYS_CHANGE_OPERATION,
       c.SYS_CHANGE_VERSION,
       CASE WHEN c.SYS_CHANGE_OPERATION IS NULL
                 AND HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION') = 1
                 AND NOT EXISTS (SELECT 1
                                   FROM sys.security_predicates p
                                   JOIN sys.security_policies s ON s.object_id = p.object_id
                                  WHERE p.target_object_id = OBJECT_ID({table_literal}) AND p.predicate_type = 0 AND s.is_enabled = 1)
            THEN 1 ELSE 0 END,
       {read_key_of_c}
  FROM @missing m
  JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k ON k.number = m.Number
  LEFT JOIN CHANGETABLE(CHANGES {table}, @since) c ON {same_key_c_k};
SELECT SYSUTCDATETIME(),
       @current,
       CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE Relay = {relay}) THEN 1 ELSE 0 END,
       s.ClientColumns,
       b.Failures,
       b.Openings,
       DATEDIFF(second, SYSUTCDATETIME(), b.OpenUntil)
  FROM (SELECT 1 AS One) o
  LEFT JOIN rowpost.Relays s ON s.Relay = {relay}
  LEFT JOIN rowpost.Targets b ON b.App = {app} AND b.Target = {target};
