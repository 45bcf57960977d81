"""An emulator of Azure Communication Services e-mail, as its SDK expects it."""
