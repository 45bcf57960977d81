"""Requests over HTTP: routes, keys, the front."""
