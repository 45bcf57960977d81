"""Connections of clients: login, requests, results, faults, statistics."""
