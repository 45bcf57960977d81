"""A durable engine: orchestrations and entities, event-sourced in one SQLite file."""
