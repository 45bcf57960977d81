"""The durable orchestrations: recovery of a relay, and the fan-out of a notice."""
