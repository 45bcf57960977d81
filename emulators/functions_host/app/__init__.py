"""The app: its functions are found, and called."""
