/*
Whether a waiting record g is due before its time: an order says so, or the target works again and the row waited for it.
Needs: @ordered, of the relay; @closed_at, of the target's circuit breaker; @utc.
*/
(g.LastFailure < @ordered
                  OR g.LastFailure < g.RetryOrdered
                  OR (g.LastFailure < @closed_at
                      AND g.State <> 'retrying'
                      AND {about_the_target}
                      AND (g.NotBefore IS NULL OR g.NotBefore <= @utc)))
