"""The core of Rowpost: no Azure Functions import in here."""
