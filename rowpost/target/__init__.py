"""The target: the event that is posted, and the HTTP request."""
