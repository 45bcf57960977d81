"""Emulators for the services around the app, replaced at the wire. Development only: never imported by the app, never deployed."""
