"""Write what Bicep must know of the app to ``infra/app.json``: it reads JSON, not TOML.

``python infra/describe_app.py`` runs in the preprovision hook. The repository has the file of the demo.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.prepare_database import known_settings  # noqa: E402
from rowpost.config.errors import ConfigError  # noqa: E402
from rowpost.config.loading import load_config  # noqa: E402
from rowpost.config.sections import Config  # noqa: E402

APP_JSON = Path(__file__).resolve().parent / "app.json"


def describe(config: Config) -> str:
    """The content of the file: the names of the SQL trigger functions, in the order of relay.toml."""
    return json.dumps({"triggerFunctions": [relay.function for relay in config.relays]}, indent=2) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write infra/app.json, which Bicep reads.")
    parser.add_argument("--config", type=Path, default=ROOT / "relay.toml")
    options = parser.parse_args()
    try:
        text = describe(load_config(options.config, known_settings()))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if not APP_JSON.exists() or APP_JSON.read_text(encoding="utf-8") != text:
        APP_JSON.write_text(text, encoding="utf-8", newline="\n")
        print(f"{APP_JSON.name} is up to date again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
