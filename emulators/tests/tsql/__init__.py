"""T-SQL on the engine, in the process of the test."""
