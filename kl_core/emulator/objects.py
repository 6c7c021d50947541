"""Buckets and objects of the small Cloud Storage: names in memory, bytes in a folder."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google_crc32c


def stamp() -> str:
    """Now, as Google writes times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StorageError(Exception):
    """A refusal as Cloud Storage words it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(slots=True)
class Sums:
    """Size and both checksums of bytes as they pass."""

    size: int = 0
    _md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _crc: Any = field(default_factory=google_crc32c.Checksum)

    def update(self, data: bytes) -> None:
        """Count `data` in."""
        self.size += len(data)
        self._md5.update(data)
        self._crc.update(data)

    @property
    def md5(self) -> str:
        """Base64, as metadata and x-goog-hash carry it."""
        return base64.b64encode(self._md5.digest()).decode()

    @property
    def crc32c(self) -> str:
        """Base64 of the big-endian sum."""
        return base64.b64encode(self._crc.digest()).decode()


@dataclass(slots=True)
class StoredObject:
    """One live generation of an object; its bytes lie in `path`."""

    bucket: str
    name: str
    path: Path
    size: int
    md5: str
    crc32c: str
    generation: int
    content_type: str
    metadata: dict[str, Any]
    metageneration: int = 1
    created: str = field(default_factory=stamp)


@dataclass(slots=True)
class StoredBucket:
    """A bucket: its properties as the JSON resource carries them, and its objects."""

    name: str
    project: str
    properties: dict[str, Any]
    metageneration: int = 1
    created: str = field(default_factory=stamp)
    objects: dict[str, StoredObject] = field(default_factory=dict)


class Storage:
    """All buckets of the server.

    Attributes:
        folder: where the bytes of objects lie.
        foreign: names of buckets that belong to somebody else: reading them is 403, creating
            them 409, as Google answers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.foreign: set[str] = set()
        self.buckets: dict[str, StoredBucket] = {}
        self._files = itertools.count()
        self._last = 0

    def create(self, name: str, project: str, properties: Mapping[str, Any]) -> StoredBucket:
        """A new bucket.

        Raises:
            StorageError: 409 where the name is taken.
        """
        if name in self.foreign:
            raise StorageError(
                409,
                "conflict",
                "The requested bucket name is not available. The bucket namespace is shared by "
                "all users of the system. Please select a different name and try again.",
            )
        if name in self.buckets:
            raise StorageError(
                409,
                "conflict",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
            )
        self.buckets[name] = StoredBucket(name, project, dict(properties))
        return self.buckets[name]

    def bucket(self, name: str) -> StoredBucket:
        """The bucket.

        Raises:
            StorageError: 404, or 403 for somebody else's.
        """
        if name in self.foreign:
            raise StorageError(
                403,
                "forbidden",
                f"the caller does not have storage.buckets.get access to the Google Cloud Storage "
                f"bucket {name}. Permission 'storage.buckets.get' denied on resource (or it may "
                "not exist).",
            )
        if name not in self.buckets:
            raise StorageError(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """The live object, None where there is none; the bucket must exist."""
        return self.bucket(bucket).objects.get(name)

    def object(self, bucket: str, name: str) -> StoredObject:
        """The live object.

        Raises:
            StorageError: 404.
        """
        found = self.find(bucket, name)
        if found is None:
            raise StorageError(404, "notFound", f"No such object: {bucket}/{name}")
        return found

    def under(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Objects whose names begin with `prefix`, by name."""
        objects = self.bucket(bucket).objects
        for name in sorted(list(objects)):  # noqa: C414 - a job's thread may add one meanwhile
            if name.startswith(prefix):
                yield objects[name]

    def new_file(self) -> Path:
        """A path for the bytes of an object to be; nobody else gets it."""
        return self.folder / f"{next(self._files):08d}.bytes"

    def put(
        self, bucket: str, name: str, path: Path, sums: Sums, resource: Mapping[str, Any]
    ) -> StoredObject:
        """Make the bytes in `path` the live generation of an object."""
        holder = self.bucket(bucket)
        old = holder.objects.get(name)
        stored = StoredObject(
            bucket,
            name,
            path,
            sums.size,
            sums.md5,
            sums.crc32c,
            self._generation(),
            str(resource.get("contentType") or "application/octet-stream"),
            dict(resource.get("metadata") or {}),
        )
        holder.objects[name] = stored
        if old is not None:
            old.path.unlink(missing_ok=True)
        return stored

    def delete(self, stored: StoredObject) -> None:
        """Forget an object and its bytes."""
        self.bucket(stored.bucket).objects.pop(stored.name, None)
        stored.path.unlink(missing_ok=True)

    def _generation(self) -> int:
        """Microseconds since 1970, always growing, as Google numbers generations."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last
