"""What is told of the work for machines: log lines with fields, the trace of a request, metrics and spans."""
