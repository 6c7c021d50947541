"""The three ways an object reaches Cloud Storage: media, multipart, resumable."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from kl_core.emulator.objects import Storage, StorageError, StoredObject, Sums
from kl_core.emulator.storage_wire import check, object_json, origin

_RANGE = re.compile(r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)")
_CHUNK = 1 << 20


@dataclass(slots=True)
class _Session:
    """A resumable upload under way."""

    bucket: str
    name: str
    resource: Mapping[str, Any]
    query: Mapping[str, str]
    path: Path
    sums: Sums = field(default_factory=Sums)
    done: StoredObject | None = None


class Uploads:
    """Receives objects; sessions of resumable uploads live until the server ends."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sessions: dict[str, _Session] = {}

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """POST /upload/…: the whole object, or the start of a resumable upload."""
        bucket, kind = request.match_info["bucket"], request.query.get("uploadType", "media")
        self._storage.bucket(bucket)
        if kind == "multipart":
            return await self._multipart(request, bucket)
        if kind == "resumable":
            return await self._start(request, bucket)
        resource = {"contentType": request.headers.get("Content-Type", "")}
        name = _named(request.query, {})
        stored = await self._whole(request, bucket, name, resource, _body(request))
        return web.json_response(object_json(request, stored))

    async def _multipart(self, request: web.Request, bucket: str) -> web.StreamResponse:
        reader = await request.multipart()
        first = await reader.next()
        if not isinstance(first, BodyPartReader):
            raise StorageError(400, "badContent", "Malformed multipart body.")
        resource = json.loads(await first.text() or "{}")
        data = await reader.next()
        if not isinstance(data, BodyPartReader):
            raise StorageError(400, "badContent", "Malformed multipart body.")
        kind = resource.get("contentType") or data.headers.get("Content-Type", "")
        name = _named(request.query, resource)
        stored = await self._whole(
            request, bucket, name, {**resource, "contentType": kind}, _part(data)
        )
        return web.json_response(object_json(request, stored))

    async def _whole(
        self,
        request: web.Request,
        bucket: str,
        name: str,
        resource: Mapping[str, Any],
        data: AsyncIterator[bytes],
    ) -> StoredObject:
        path, sums = self._storage.new_file(), Sums()
        with path.open("wb") as out:
            async for chunk in data:
                out.write(chunk)
                sums.update(chunk)
        return self._finish(bucket, name, resource, request.query, path, sums)

    def _finish(
        self,
        bucket: str,
        name: str,
        resource: Mapping[str, Any],
        query: Mapping[str, str],
        path: Path,
        sums: Sums,
    ) -> StoredObject:
        """Preconditions count when the object appears, whoever began first."""
        try:
            check(query, self._storage.find(bucket, name))
            _sums_agree(resource, sums)
        except StorageError:
            path.unlink(missing_ok=True)
            raise
        return self._storage.put(bucket, name, path, sums, resource)

    async def _start(self, request: web.Request, bucket: str) -> web.StreamResponse:
        resource = json.loads(await request.text() or "{}")
        name = _named(request.query, resource)
        check(request.query, self._storage.find(bucket, name))
        kind = resource.get("contentType") or request.headers.get("X-Upload-Content-Type", "")
        upload_id, path = uuid.uuid4().hex, self._storage.new_file()
        path.touch()
        self._sessions[upload_id] = _Session(
            bucket, name, {**resource, "contentType": kind}, dict(request.query), path
        )
        place = f"{origin(request)}{request.path}?uploadType=resumable&upload_id={upload_id}"
        return web.Response(headers={"Location": place, "X-GUploader-UploadID": upload_id})

    async def go_on(self, request: web.Request) -> web.StreamResponse:
        """PUT /upload/…?upload_id=…: the next bytes, or the question how many there are."""
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise StorageError(404, "notFound", "The upload session does not exist.")
        if session.done is not None:
            return web.json_response(object_json(request, session.done))
        begin, total = _content_range(request)
        if begin is not None:
            await _receive(request, session, begin)
        if total is None or session.sums.size < total:
            return _more(session)
        session.done = self._finish(
            session.bucket,
            session.name,
            session.resource,
            session.query,
            session.path,
            session.sums,
        )
        return web.json_response(object_json(request, session.done))


async def _receive(request: web.Request, session: _Session, begin: int) -> None:
    """Append the body; bytes that are here already are skipped."""
    skip = session.sums.size - begin
    if skip < 0:
        raise StorageError(
            400, "invalid", f"expected byte {session.sums.size}, the request begins at {begin}"
        )
    with session.path.open("ab") as out:
        async for chunk in _body(request):
            fresh = chunk[skip:] if skip else chunk
            skip = max(0, skip - len(chunk))
            out.write(fresh)
            session.sums.update(fresh)


def _more(session: _Session) -> web.Response:
    size = session.sums.size
    return web.Response(status=308, headers={"Range": f"bytes=0-{size - 1}"} if size else {})


def _content_range(request: web.Request) -> tuple[int | None, int | None]:
    """(first byte or None for a question, total or None where the client does not know)."""
    header = request.headers.get("Content-Range")
    if header is None:
        return 0, request.content_length
    found = _RANGE.fullmatch(header)
    if found is None:
        raise StorageError(400, "invalid", f"Failed to parse Content-Range header: {header}")
    first, _, total = found.groups()
    return (None if first is None else int(first)), (None if total == "*" else int(total))


def _named(query: Mapping[str, str], resource: Mapping[str, Any]) -> str:
    name = query.get("name") or resource.get("name")
    if not isinstance(name, str) or not name:
        raise StorageError(400, "required", "Required parameter: name")
    return name


def _sums_agree(resource: Mapping[str, Any], sums: Sums) -> None:
    for key, there in (("md5Hash", sums.md5), ("crc32c", sums.crc32c)):
        said = resource.get(key)
        if said and said != there:
            raise StorageError(
                400, "invalid", f"Provided {key} {said!r} doesn't match calculated {there!r}."
            )


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(_CHUNK):
        yield chunk


async def _part(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK):
        yield bytes(chunk)
