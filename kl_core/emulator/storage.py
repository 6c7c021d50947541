"""A small Cloud Storage: what the google-cloud-storage client needs of the JSON API.

Buckets, objects, paging, uploads of all three kinds, ranges, compose, and preconditions
including generation 0 ("only if it is not there"). Requests are served concurrently. Lifecycle
rules are kept and shown, never executed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.objects import Storage, StorageError, StoredObject, Sums
from kl_core.emulator.state import State
from kl_core.emulator.storage_wire import bucket_json, check, object_json, refusing
from kl_core.emulator.uploads import Uploads

_BUCKETS = "/storage/v1/b"
_BUCKET = "/storage/v1/b/{bucket}"
_OBJECTS = "/storage/v1/b/{bucket}/o"
_OBJECT = "/storage/v1/b/{bucket}/o/{object:.+}"
_PAGE = 1000


def routes(state: State) -> list[web.RouteDef]:
    """The routes of the state's storage, to be put on the server's port."""
    storage = cloud_of(state).storage
    served, uploads = _Served(storage), Uploads(storage)
    return [
        web.get(_BUCKETS, refusing(served.buckets)),
        web.post(_BUCKETS, refusing(served.create_bucket)),
        web.get(_BUCKET, refusing(served.get_bucket)),
        web.patch(_BUCKET, refusing(served.patch_bucket)),
        web.put(_BUCKET, refusing(served.patch_bucket)),
        web.delete(_BUCKET, refusing(served.delete_bucket)),
        web.get(_OBJECTS, refusing(served.list_objects)),
        web.post(_OBJECT + "/compose", refusing(served.compose)),
        web.get(_OBJECT, refusing(served.get_object)),
        web.patch(_OBJECT, refusing(served.patch_object)),
        web.delete(_OBJECT, refusing(served.delete_object)),
        web.get("/download" + _OBJECT, refusing(served.download)),
        web.post("/upload" + _OBJECTS, refusing(uploads.begin)),
        web.put("/upload" + _OBJECTS, refusing(uploads.go_on)),
    ]


class _Served:
    """One handler a method of the API."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def buckets(self, request: web.Request) -> web.StreamResponse:
        project = request.query.get("project")
        mine = [each for each in self._storage.buckets.values() if each.project == project]
        items = [bucket_json(request, each) for each in mine]
        return web.json_response({"kind": "storage#buckets", "items": items})

    async def create_bucket(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        project = request.query.get("project")
        if not project or not body.get("name"):
            raise StorageError(400, "required", "Required parameter: project and name")
        bucket = self._storage.create(str(body["name"]), project, body)
        return web.json_response(bucket_json(request, bucket))

    async def get_bucket(self, request: web.Request) -> web.StreamResponse:
        bucket = self._storage.bucket(request.match_info["bucket"])
        check(request.query, bucket)
        return web.json_response(bucket_json(request, bucket))

    async def patch_bucket(self, request: web.Request) -> web.StreamResponse:
        bucket = self._storage.bucket(request.match_info["bucket"])
        changes = await request.json()
        check(request.query, bucket)
        bucket.properties = _merged(bucket.properties, changes)
        bucket.metageneration += 1
        return web.json_response(bucket_json(request, bucket))

    async def delete_bucket(self, request: web.Request) -> web.StreamResponse:
        bucket = self._storage.bucket(request.match_info["bucket"])
        check(request.query, bucket)
        if bucket.objects:
            raise StorageError(409, "conflict", "The bucket you tried to delete is not empty.")
        del self._storage.buckets[bucket.name]
        return web.Response(status=204)

    async def list_objects(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, most = query.get("pageToken", ""), int(query.get("maxResults", _PAGE))
        items: list[dict[str, Any]] = []
        folders: list[str] = []
        last, more = "", False
        for each in self._storage.under(request.match_info["bucket"], prefix):
            if each.name <= after or each.name < query.get("startOffset", ""):
                continue
            head, cut, _ = each.name[len(prefix) :].partition(delimiter or "\0")
            folder = prefix + head + delimiter if delimiter and cut else None
            if folder is not None and folder in folders:
                last = each.name
                continue
            if len(items) + len(folders) == min(most, _PAGE):
                more = True
                break
            if folder is None:
                items.append(object_json(request, each))
            else:
                folders.append(folder)
            last = each.name
        found = {"kind": "storage#objects", "items": items, "prefixes": folders}
        return web.json_response(found | ({"nextPageToken": last} if more else {}))

    async def get_object(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("alt") == "media":
            return await self.download(request)
        stored = self._object(request)
        return web.json_response(object_json(request, stored))

    async def download(self, request: web.Request) -> web.StreamResponse:
        stored = self._object(request)
        headers = {
            "Content-Type": stored.content_type,
            "x-goog-hash": f"crc32c={stored.crc32c},md5={stored.md5}",
            "x-goog-generation": str(stored.generation),
            "x-goog-metageneration": str(stored.metageneration),
            "x-goog-stored-content-length": str(stored.size),
            "x-goog-stored-content-encoding": "identity",
        }
        return web.FileResponse(stored.path, headers=headers)

    async def patch_object(self, request: web.Request) -> web.StreamResponse:
        changes = await request.json()
        stored = self._object(request)
        stored.metadata = _merged(stored.metadata, changes.get("metadata") or {})
        stored.content_type = changes.get("contentType") or stored.content_type
        stored.metageneration += 1
        return web.json_response(object_json(request, stored))

    async def delete_object(self, request: web.Request) -> web.StreamResponse:
        self._storage.delete(self._object(request))
        return web.Response(status=204)

    async def compose(self, request: web.Request) -> web.StreamResponse:
        """One object out of several of the same bucket, in their order."""
        body = await request.json()
        bucket, name = request.match_info["bucket"], request.match_info["object"]
        sources = [self._storage.object(bucket, each["name"]) for each in body["sourceObjects"]]
        path, sums = self._storage.new_file(), Sums()
        await asyncio.to_thread(_joined, sources, path, sums)
        check(request.query, self._storage.find(bucket, name))
        stored = self._storage.put(bucket, name, path, sums, body.get("destination") or {})
        return web.json_response(object_json(request, stored))

    def _object(self, request: web.Request) -> StoredObject:
        """The object a request names, its preconditions held."""
        stored = self._storage.object(request.match_info["bucket"], request.match_info["object"])
        check(request.query, stored)
        return stored


def _joined(sources: list[StoredObject], path: Any, sums: Sums) -> None:
    with path.open("wb") as out:
        for each in sources:
            with each.path.open("rb") as part:
                shutil.copyfileobj(part, out)
    with path.open("rb") as whole:
        while chunk := whole.read(1 << 20):
            sums.update(chunk)


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """As PATCH merges: a null removes, anything else replaces."""
    merged = {**old, **changes}
    return {key: value for key, value in merged.items() if value is not None}
