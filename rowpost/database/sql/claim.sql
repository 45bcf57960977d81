/*
Claim a batch: what the lease says of each row, then the row as it is now. One round trip.

The version is read before the data, so that the version that an event carries is never newer than its data.

Parameters: 1. @keys, a JSON array of objects: number, and key with the key columns. 2. @doubtful: 1 if the keys may not be those of
the rows that were handed out. 3. @budget, how many bytes of rows to read; -1: none, also no sizes. 4. @row_bytes, the largest row.
Result sets: 1. for each key: lease version, hand-outs, whether it is leased, the tracked version, and whether the row is in others'
hands, and the key as the lease spells it; 2. the clock, the newest version, whether the ledger has anything of this table, the
client's columns, the relay's epoch, the database's mark, the number of the last look at its life, whether the relay is paused, and the
circuit breaker; 3. if keys are doubtful, the leases in hand: the number of the key that names it, if any, its end, its key; 4. for each
key: whether the row is there, the filter that leaves its change out, if one does, the mask of its changed columns if that is known,
whether it is new and has not changed since, the key, and the row's own spelling of it; 5. what change tracking says of rows that are
not there, as missing_rows.sql has it; 6. and 7. as read_rows.sql has them, and a third one if the relay has a condition; 8. the columns
that are masked.
Locks: none that last; if a lease is at four hand-outs, the trigger's lock for one update.
If the connection dies: the leases lapse within a minute and the rows come again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @keys nvarchar(max) = ?, @doubtful int = ?, @budget bigint = ?, @row_bytes bigint = ?, @lock int, @last bigint = {cursor};
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
{claim_base}
{recent}
{database_mark}
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
SELECT SYSUTCDATETIME(),
       @current,
       CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE Relay = {relay}) THEN 1 ELSE 0 END,
       s.ClientColumns,
       COALESCE(s.Epoch, 0),
       @mark,
       COALESCE(f.LookNumber, 0),
       CASE WHEN s.PausedAt IS NULL THEN 0 ELSE 1 END,
       b.Failures,
       b.Openings,
       DATEDIFF(second, SYSUTCDATETIME(), b.OpenUntil)
  FROM (SELECT 1 AS One) o
  LEFT JOIN rowpost.Relays s ON s.Relay = {relay}
  LEFT JOIN rowpost.Lives f ON f.App = {app}
  LEFT JOIN rowpost.Targets b ON b.App = {app} AND b.Target = {target};
-- All rows of one hand-out have the same end of their leases, since one statement writes them, also when it renews them.
IF @doubtful = 1
    SELECT k.number, CONVERT(nvarchar(40), l._az_func_LeaseExpirationTime, 126), {read_key_of_l}
      FROM {leases} l
      LEFT JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k ON {same_key_l_k}
     WHERE l._az_func_AttemptCount > 0
       AND l._az_func_LeaseExpirationTime IS NOT NULL
       AND l._az_func_ChangeVersion < {redelivered_version};
ELSE
    SELECT CAST(NULL AS int) AS number WHERE 1 = 0;
{guard_leases}
{echoes}
SELECT k.number, CASE WHEN t.{first_key} IS NULL THEN 0 ELSE 1 END, {not_claimed_for}, {mask_of_w}, {new_row},
       {read_key_of_k}, {read_key_of_t}
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
  LEFT JOIN {table} t ON {same_key_t_k}
  {join_claimed};
{missing_rows}
{read_within_budget}
{masked_columns}
