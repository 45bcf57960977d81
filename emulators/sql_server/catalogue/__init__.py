"""What exists in the database: tables, columns, indexes, views, principals."""
