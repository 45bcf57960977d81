"""The one error of configuration."""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration, or the database it names, cannot be used; the text names the field and the remedy."""
