"""The contract with the receiver: what its requests look like, as JSON Schema and as AsyncAPI."""
