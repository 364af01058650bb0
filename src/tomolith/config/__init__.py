"""Settings, registries, optional imports and progress. No word of the domain in here."""

from tomolith.config.optional import require
from tomolith.config.progress import Progress, progress
from tomolith.config.registry import Component, Registry
from tomolith.config.settings import Settings, did_you_mean, parse_settings, settings_hash

__all__ = [
    "Component",
    "Progress",
    "Registry",
    "Settings",
    "did_you_mean",
    "parse_settings",
    "progress",
    "require",
    "settings_hash",
]
