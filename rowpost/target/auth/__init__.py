"""How the app shows a target who it is: what it sends for that, where that comes from, and when it is fetched anew."""
