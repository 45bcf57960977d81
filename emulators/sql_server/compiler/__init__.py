"""A syntax tree becomes the text of SQLite statements, and a plan of what to do with their rows."""
