"""What an operator asks and orders: status, columns, retry, replay, resync."""
