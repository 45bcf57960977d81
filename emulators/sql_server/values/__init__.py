"""Types, values, errors and results: what all rooms share."""
