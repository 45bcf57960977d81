/* Whether a record g tells what the target said of its own state, or nothing. Else it is about the row itself. */
(g.LastStatus IS NULL OR g.LastStatus NOT BETWEEN 400 AND 499 OR g.LastStatus IN ({transient_client_errors}))
