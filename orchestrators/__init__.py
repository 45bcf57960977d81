"""The durable orchestrations: recovery of a table, and the fan-out of a notice."""
