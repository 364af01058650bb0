"""Formats that other software opens. To add one: a module here and a line below."""

from tomolith.config import Registry

EXPORTERS = Registry(
    "exporter",
    {"tiff": "tomolith.store.exporters.tiff:export_tiff"},
    group="tomolith.exporters",
)
