"""Function and payload of a sweep as a file that many processes can memory-map."""

from __future__ import annotations

import contextlib
import functools
import mmap
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.home.temporary import TemporaryFolder

__all__ = ["open_shipment", "shipment"]

_ALIGNED = 64
"""Arrays begin at multiples of a cache line."""


@contextlib.contextmanager
def shipment(content: Any) -> Iterator[str]:
    """A file that holds `content`, for as long as the context lasts.

    Arrays are stored as they are in memory (pickle protocol 5, out of band), everything else is pickled by
    cloudpickle. Processes that have it open can still read it after the file is deleted.

    Yields
    ------
    str
        Its path, for `open_shipment`.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    head = cloudpickle.dumps(content, protocol=5, buffer_callback=buffers.append)
    raws = [buffer.raw() for buffer in buffers]
    sizes = struct.pack(f"<{len(raws) + 2}Q", len(raws), len(head), *(raw.nbytes for raw in raws))
    with TemporaryFolder("sweep") as folder:
        path = folder / "shipment"
        with path.open("wb") as file:
            for part in (sizes, head, *raws):
                file.write(b"\0" * (-file.tell() % _ALIGNED))
                file.write(part)
        yield str(path)


@functools.lru_cache(maxsize=1)
def open_shipment(path: str) -> Any:
    """The content of a shipment; a process caches it until it opens the next.

    Arrays are memory-mapped: all processes share the pages, and writing to one copies the page.
    """
    with Path(path).open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    n_arrays, n_head = struct.unpack_from("<2Q", mapped)
    sizes = (16 + 8 * n_arrays, n_head, *struct.unpack_from(f"<{n_arrays}Q", mapped, 16))
    parts = []
    position = 0
    for size in sizes:
        position += -position % _ALIGNED
        parts.append(mapped[position : position + size])
        position += size
    return pickle.loads(parts[1], buffers=parts[2:])  # noqa: S301 - written by the process that sent the task.
