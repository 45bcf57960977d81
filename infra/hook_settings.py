"""relay.toml as a hook of azd reads it: the file that is deployed, without the values of its secrets.

azd hands its settings over as environment variables. In the place of a secret it has a reference, such as
``akvs://SUBSCRIPTION/VAULT/NAME``. Such a value is unknown here: what is checked of the file does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rowpost.config.errors import ConfigError
from rowpost.config.sections import Config

SECRET_SCHEME = "akvs://"


def plain_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of an environment without the references that azd has in the place of secrets."""
    return {name: value for name, value in environment.items() if not value.startswith(SECRET_SCHEME)}


def config_of_hooks(path: Path, settings: Mapping[str, str]) -> Config:
    """The configuration; what depends on settings that are not known stands for something of its kind.

    Args:
        path: the file.
        settings: the settings that are known.

    Raises:
        ConfigError: the file is missing or has mistakes; the text has a line for each.
    """
    from devtools.check_config import examine  # which reads the settings of this machine by infra.prepare_database

    report, config = examine(path, settings, "")
    if report.mistakes or config is None:
        raise ConfigError("\n".join(report.mistakes))
    return config
