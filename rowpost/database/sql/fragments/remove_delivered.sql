/*
Drop the records of delivered rows, and their attempts. A record of a newer change stays. Needs: @rows, as settle.sql describes it.
*/
DELETE g
  FROM rowpost.Ledger g
  JOIN OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', version bigint '$.version', clears int '$.clears') s
    ON g.KeyHash = s.keyHash
 WHERE g.Relay = {relay} AND g.ChangeVersion <= s.version AND s.clears = 1;
DELETE a
  FROM rowpost.Attempts a
  JOIN OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', clears int '$.clears') s ON a.KeyHash = s.keyHash
 WHERE a.Relay = {relay}
   AND s.clears = 1
   AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = a.Relay AND g.KeyHash = a.KeyHash);
