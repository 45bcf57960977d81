"""HTTP to others, who may answer anything: every answer is read to its end or not at all, within bounds of time and size."""
