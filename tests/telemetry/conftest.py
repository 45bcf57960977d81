"""Targets to post to."""

from tests.target.conftest import api, raw

__all__ = ["api", "raw"]
