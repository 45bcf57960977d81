/*
Where a row waits that has no live record, from its lease l, by left join. Parked: the watchdog takes it. In flight: in the hands of a
worker, or of one that has died. Handed back: its batch did not try it, and the hand-out does not count. Pending: it is handed out next.
Needs: @now, server time.
*/
CASE WHEN l._az_func_LeaseExpirationTime IS NULL THEN 'pending'
                        WHEN l._az_func_AttemptCount < 0 OR (l._az_func_AttemptCount >= 5 AND l._az_func_LeaseExpirationTime < @now)
                        THEN 'parked'
                        WHEN l._az_func_LeaseExpirationTime < @now THEN 'pending'
                        WHEN l._az_func_AttemptCount > 0 THEN 'in_flight'
                        ELSE 'handed_back' END
