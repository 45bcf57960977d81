"""The functions that something outside starts: SQL changes, timers, HTTP."""
