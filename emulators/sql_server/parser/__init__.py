"""T-SQL text becomes a syntax tree."""
