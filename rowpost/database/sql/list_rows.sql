/*
Records of one state, in the order of their next attempt: a page of them. Of dead letters that is when they were given up.

Parameters: 1. @state. 2. @from and 3. @to: the last failure lies between them. 4. @after and 5. @after_hash: the next attempt and the
key hash of the last one before the page. 6. @classes of the last error, a JSON array; NULL is any. 7. @limit, how many at most.
Result set: records; the last column but one is the next attempt with all its digits, the last the key hash.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @state varchar(10) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?, @after datetime2(7) = ?, @after_hash char(64) = ?;
DECLARE @classes nvarchar(max) = ?, @limit int = ?;
-- The index has the order: only the records of the page are read.
SELECT {record_fields}, CONVERT(nvarchar(40), g.NextAttempt, 126), g.KeyHash
  FROM (SELECT TOP (@limit) i.NextAttempt, i.KeyHash
          FROM rowpost.Ledger i
         WHERE i.Relay = {relay}
           AND i.State = @state
           AND i.NextAttempt >= @after
           AND (i.NextAttempt > @after OR i.KeyHash > @after_hash)
           AND i.LastFailure >= @from
           AND i.LastFailure < @to
           AND (@classes IS NULL
                OR COALESCE(i.ErrorClass, 'other') IN (SELECT s.class FROM OPENJSON(@classes) WITH (class varchar(20) '$') s))
         ORDER BY i.NextAttempt, i.KeyHash) p
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = p.KeyHash
 ORDER BY p.NextAttempt, p.KeyHash;
