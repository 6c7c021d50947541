"""How Cloud Storage writes buckets, objects and refusals, and what a request may demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from kl_core.emulator.objects import StorageError, StoredBucket, StoredObject

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusing(handler: Handler) -> Handler:
    """The handler with its StorageErrors written as Google writes them."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StorageError as error:
            return refusal(error)

    return wrapped


def refusal(error: StorageError) -> web.Response:
    """The error as a reply; 304 has no body."""
    if error.code == 304:
        return web.Response(status=304)
    one = {"message": error.message, "domain": "global", "reason": error.reason}
    body = {"error": {"code": error.code, "message": error.message, "errors": [one]}}
    return web.json_response(body, status=error.code)


def check(query: Mapping[str, str], stored: StoredObject | StoredBucket | None) -> None:
    """Hold the request's preconditions against what is there; None counts as generation 0.

    Raises:
        StorageError: 412, or 304 for a `NotMatch`; 400 where a number is none.
    """
    generation = stored.generation if isinstance(stored, StoredObject) else 0
    wanted = _number(query, "generation")
    if wanted is not None and wanted != generation:
        name = f"{stored.bucket}/{stored.name}" if isinstance(stored, StoredObject) else "object"
        raise StorageError(404, "notFound", f"No such object: {name}#{wanted}")
    meta = stored.metageneration if stored is not None else 0
    for name, there in (("Generation", generation), ("Metageneration", meta)):
        match = _number(query, f"if{name}Match")
        if match is not None and match != there:
            raise StorageError(
                412,
                "conditionNotMet",
                "At least one of the pre-conditions you specified did not hold.",
            )
        unwanted = _number(query, f"if{name}NotMatch")
        if unwanted is not None and unwanted == there:
            raise StorageError(304, "notModified", "")


def _number(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return int(query[name])
    except ValueError:
        raise StorageError(
            400, "invalid", f"Invalid value for parameter {name}: {query[name]}"
        ) from None


def bucket_json(request: web.Request, bucket: StoredBucket) -> dict[str, Any]:
    """A bucket resource."""
    return {
        "location": "US",
        "storageClass": "STANDARD",
        **bucket.properties,
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{origin(request)}/storage/v1/b/{bucket.name}",
        "projectNumber": "1",
        "metageneration": str(bucket.metageneration),
        "timeCreated": bucket.created,
        "updated": bucket.created,
        "etag": f"CA{bucket.metageneration}=",
    }


def object_json(request: web.Request, stored: StoredObject) -> dict[str, Any]:
    """An object resource."""
    path = f"storage/v1/b/{stored.bucket}/o/{quote(stored.name, safe='')}"
    base = origin(request)
    return {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"{base}/{path}",
        "mediaLink": f"{base}/download/{path}?generation={stored.generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(stored.size),
        "md5Hash": stored.md5,
        "crc32c": stored.crc32c,
        "etag": f"CA{stored.generation}=",
        "timeCreated": stored.created,
        "updated": stored.created,
        **({"metadata": stored.metadata} if stored.metadata else {}),
    }


def origin(request: web.Request) -> str:
    """The server's address as the client wrote it."""
    return f"{request.scheme}://{request.host}"
