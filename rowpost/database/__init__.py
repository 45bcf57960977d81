"""The database: one round trip, what is known of a table, and every statement (``sql/*.sql``)."""
