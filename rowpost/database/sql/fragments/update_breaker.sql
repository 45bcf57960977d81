/*
The circuit breaker of the target as a batch leaves it. An answer that shows a working target always counts: it closes the breaker,
and makes rows due that waited for the target, in every relay. Opening counts only if no other batch was faster. Failures are added
up, since several relays of one target find them at the same time. That it was opened or closed is kept for people.
Needs: @failures (NULL: it stays as it is), @openings, @open_seconds, @seen_openings, @added; @utc.
*/
IF @failures IS NOT NULL
BEGIN
    INSERT INTO rowpost.BreakerChanges (App, Target, At, Opened)
    SELECT t.App, t.Target, @utc, CASE WHEN @openings = 0 THEN 0 ELSE 1 END
      FROM rowpost.Targets t WITH (UPDLOCK)
     WHERE t.App = {app}
       AND t.Target = {target}
       AND ((@openings = 0 AND @failures = 0 AND t.Openings > 0) OR (@openings > 0 AND t.Openings = 0 AND @seen_openings = 0));
    UPDATE rowpost.Targets
       SET Failures = CASE WHEN @openings = 0 AND @failures = 0 THEN 0 ELSE Failures + @added END,
           Openings = @openings,
           OpenUntil = CASE WHEN @openings > 0 THEN DATEADD(second, @open_seconds, @utc) END,
           ClosedAt = CASE WHEN @openings = 0 AND @failures = 0 THEN @utc ELSE ClosedAt END
     WHERE App = {app}
       AND Target = {target}
       AND ((@openings = 0 AND @failures = 0) OR Openings = @seen_openings);
END;
