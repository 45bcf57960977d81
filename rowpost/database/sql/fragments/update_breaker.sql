/*
The circuit breaker of the target as a batch leaves it. An answer that shows a working target always counts: it closes the breaker,
and makes rows due that waited for the target, in every relay. Opening counts only if no other batch was faster. Failures are added
up, since several relays of one target find them at the same time.
Needs: @failures (NULL: it stays as it is), @openings, @open_seconds, @seen_openings, @added; @utc.
*/
IF @failures IS NOT NULL
    UPDATE rowpost.Targets
       SET Failures = CASE WHEN @openings = 0 AND @failures = 0 THEN 0 ELSE Failures + @added END,
           Openings = @openings,
           OpenUntil = CASE WHEN @openings > 0 THEN DATEADD(second, @open_seconds, @utc) END,
           ClosedAt = CASE WHEN @openings = 0 AND @failures = 0 THEN @utc ELSE ClosedAt END
     WHERE App = {app}
       AND Target = {target}
       AND ((@openings = 0 AND @failures = 0) OR Openings = @seen_openings);
