"""The rules, pure: what a row, an answer and a fate are, and what follows from what. No I/O, no SQL, no clock."""
