"""What is configured: the sections of ``relay.toml``, reading and checking them, and the connection string."""
