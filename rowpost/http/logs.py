"""The loggers of libraries that would tell what is nobody's business."""

from __future__ import annotations

import logging

# urllib3 tells paths and queries, which hold the credential, and lines of answers; the mail SDK tells fields of answers; those of
# identities tell what an endpoint for tokens has answered.
TOO_TALKATIVE = ("urllib3", "azure.core.pipeline.policies.http_logging_policy", "azure.identity", "msal")


def silence() -> None:
    """Nothing of theirs comes into a log. All that is told of an exchange is what the app itself tells."""
    for name in TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
