/*
Whether the trigger will not hand out the row of a record any more. l: its lease, by left join.
Needs: @now, server time; @last, the cursor.
*/
(l.{first_key} IS NULL
          OR l._az_func_LeaseExpirationTime IS NULL
          OR l._az_func_LeaseExpirationTime < DATEADD(second, -{lapsed_seconds}, @now)
          OR (l._az_func_ChangeVersion <= @last AND (l._az_func_AttemptCount <= 0 OR l._az_func_LeaseExpirationTime < @now)))
