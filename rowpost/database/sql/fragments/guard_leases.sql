/*
Keep every lease of the table well below five hand-outs while anyone has a batch in flight.

At five, from the moment of the hand-out, the trigger stops counting the row as unprocessed, so that any other row's success sweeps
it and its lease away. A settled failure puts the count back to 0, so a row at four was never settled: its process ended each time.
It is stopped here, a hand-out early. A row of this batch goes back to three and is left to recovery. Any other is parked, with a
count below zero, for the watchdog to adopt. The lock is taken only when there is such a row.
Needs: @keys, @lock.
*/
IF EXISTS (SELECT 1 FROM {leases} WHERE _az_func_AttemptCount >= {guarded_count})
BEGIN
    BEGIN TRANSACTION;
    {take_trigger_lock}
    UPDATE l
       SET _az_func_AttemptCount = CASE WHEN k.number IS NULL THEN {parked_count} ELSE {guarded_count} - 1 END,
           _az_func_LeaseExpirationTime = CASE WHEN k.number IS NULL THEN DATEADD(hour, 1, SYSDATETIME())
                                               ELSE l._az_func_LeaseExpirationTime END
      FROM {leases} l
      LEFT JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k ON {same_key_l_k}
     WHERE l._az_func_AttemptCount >= {guarded_count};
    COMMIT;
END;
