"""How the app shows others who it is: what it sends for that, where that comes from, and when it is fetched anew."""
