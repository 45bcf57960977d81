/*
What a live record g is about: 'row' if the row fails for its own sake, 'target' if it waits for the target. A row fails for its own
sake if it is refused, if it ended its process each time, or if it goes on failing for minutes though the target works. In doubt a row
stays where people were told of it.
Needs: @openings, @failures and @closed_at, of the target's circuit breaker.
*/
CASE WHEN NOT {about_the_target}
               OR g.LastError = {unsettled}
               OR (@openings = 0 AND g.FirstFailure < @closed_at AND g.LastTried > DATEADD(second, 300, @closed_at))
               OR (@openings = 0
                   AND @failures = 0
                   AND g.LastTried > DATEADD(second, 300, g.FirstFailure)
                   AND (@closed_at IS NULL OR g.LastTried > DATEADD(second, 300, @closed_at))
                   AND NOT EXISTS (SELECT 1
                                     FROM rowpost.IncidentRows m
                                    WHERE m.Relay = g.Relay AND m.About = 'target' AND m.KeyHash = g.KeyHash
                                      AND m.FirstFailure = g.FirstFailure))
               OR EXISTS (SELECT 1
                            FROM rowpost.IncidentRows m
                           WHERE m.Relay = g.Relay AND m.About = 'row' AND m.KeyHash = g.KeyHash
                             AND m.FirstFailure = g.FirstFailure)
          THEN 'row' ELSE 'target' END
