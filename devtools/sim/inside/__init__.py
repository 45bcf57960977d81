"""The in-process simulation: one OS thread, virtual time, and a scheduler that decides every step by the seed."""
