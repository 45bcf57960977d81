"""The HTTP API for operators, and for the systems that rows are sent to."""
