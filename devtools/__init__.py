"""What ``python dev.py`` runs: the demo and the local start. Never imported by the app."""
