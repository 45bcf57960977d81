/*
Keep every lease of the table well below five hand-outs while anyone has a batch in flight.

At five, from the moment of the hand-out, the trigger stops counting the row as unprocessed, so that any other row's success sweeps
it and its lease away. A settled failure puts the count back to 0, so a row at four was never settled: its process ended each time.
It is stopped here, a hand-out early: parked, with a count below zero. A row of this batch is not read, and its settlement gives it to
recovery. If there is none, or it is another batch's, the watchdog adopts it. The lock is taken only when there is such a row.
Needs: @lock.
*/
IF EXISTS (SELECT 1 FROM {leases} WHERE _az_func_AttemptCount >= {guarded_count})
BEGIN
    BEGIN TRANSACTION;
    {take_trigger_lock}
    UPDATE {leases}
       SET _az_func_AttemptCount = {parked_count},
           _az_func_LeaseExpirationTime = DATEADD(hour, 1, SYSDATETIME())
     WHERE _az_func_AttemptCount >= {guarded_count};
    COMMIT;
END;
