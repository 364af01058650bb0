"""Readers: one module per file format, each with `sniff` and `open`. All lazy.

To add one: a module with a class that has both methods, and a line in ``READERS``.
"""

from tomolith.config import Registry
from tomolith.store.readers.base import RawImage, Reader
from tomolith.store.readers.open_raw import open_raw

READERS = Registry(
    "reader",
    {
        "amira": "tomolith.store.readers.amira:AmiraReader",
        "hdf5": "tomolith.store.readers.hdf5:Hdf5Reader",
        "numpy": "tomolith.store.readers.npy:NumpyReader",
        "ome-zarr": "tomolith.store.readers.ome_zarr:OmeZarrReader",
        "tiff": "tomolith.store.readers.tiff:TiffReader",
        "zeiss": "tomolith.store.readers.zeiss:ZeissReader",
    },
    group="tomolith.readers",
)

__all__ = ["READERS", "RawImage", "Reader", "open_raw"]
