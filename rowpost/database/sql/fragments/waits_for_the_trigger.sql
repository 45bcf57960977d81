/*
Whether the trigger would hand out a change c now, and should have done so a while ago. l: its lease, by left join.
Needs: @now, server time.
*/
((l._az_func_AttemptCount IS NULL OR l._az_func_AttemptCount < 5)
          AND ((l._az_func_LeaseExpirationTime IS NULL
                AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION))
               OR l._az_func_LeaseExpirationTime < DATEADD(second, -{late_seconds}, @now)))
