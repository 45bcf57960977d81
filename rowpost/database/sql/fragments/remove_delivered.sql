/* Drop the records of delivered rows. A record of a newer change stays. Needs: @rows, as settle.sql describes it. */
DELETE g
  FROM rowpost.Ledger g
  JOIN OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', version bigint '$.version', clears int '$.clears') s
    ON g.KeyHash = s.keyHash
 WHERE g.Relay = {relay} AND g.ChangeVersion <= s.version AND s.clears = 1;
