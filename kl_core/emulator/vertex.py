"""Vertex batch prediction: the five methods of batchPredictionJobs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.batch_job import CANCELLING, Job
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.state import State

_PAGE = 100
_FILTER = re.compile(r'\s*(displayName|display_name|state)\s*=\s*"?([^"]*?)"?\s*')
Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(state: State) -> list[web.RouteDef]:
    """The routes of the state's batch jobs, under both versions of the API."""
    served, found = _Served(state), []
    for version in ("v1beta1", "v1"):
        jobs = f"/{version}/projects/{{project}}/locations/{{location}}/batchPredictionJobs"
        one = jobs + r"/{id:\d+}"
        found += [
            web.post(jobs, _refusing(served.create)),
            web.get(jobs, _refusing(served.list)),
            web.get(one, _refusing(served.get)),
            web.post(one + ":cancel", _refusing(served.cancel)),
            web.delete(one, _refusing(served.delete)),
        ]
    return found


def _refusing(handler: Handler) -> Handler:
    async def wrapped(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ApiError as error:
            return web.json_response(error.body(), status=error.code, headers=error.headers())

    return wrapped


class _Served:
    """One handler a method."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._jobs = cloud_of(state).jobs

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        for path in (
            ("displayName",),
            ("model",),
            ("inputConfig", "gcsSource", "uris"),
            ("outputConfig", "gcsDestination", "outputUriPrefix"),
        ):
            _require(body, path)
        self._state.require(str(body["model"]).rsplit("/", 1)[-1])
        return web.json_response(self._jobs.submit(_parent(request), body).resource())

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(self._job(request).resource())

    async def list(self, request: web.Request) -> web.Response:
        wanted = _wanted(request.query.get("filter", ""))
        mine = [job for job in self._jobs.all.values() if job.parent == _parent(request)]
        found = [job for job in reversed(mine) if wanted(job)]
        size = min(int(request.query.get("pageSize") or _PAGE), _PAGE)
        start = int(request.query.get("pageToken") or 0)
        page: dict[str, Any] = {
            "batchPredictionJobs": [job.resource() for job in found[start : start + size]]
        }
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return web.json_response(page)

    async def cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if not job.over:
            job.state = CANCELLING
            job.stop.set()
        return web.json_response({})

    async def delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if not job.over:
            raise ApiError(400, f"the job {job.id} is {job.state}; cancel it before deleting it")
        del self._jobs.all[job.id]
        parent = _parent(request)
        return web.json_response({"name": f"{parent}/operations/{job.id}", "done": True})

    def _job(self, request: web.Request) -> Job:
        job = self._jobs.all.get(request.match_info["id"])
        if job is None or job.parent != _parent(request):
            raise ApiError(404, f"batchPredictionJobs/{request.match_info['id']} is not found.")
        return job


def _parent(request: web.Request) -> str:
    return f"projects/{request.match_info['project']}/locations/{request.match_info['location']}"


def _require(body: Any, path: tuple[str, ...]) -> None:
    value = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not value:
        raise ApiError(400, f"The required field '{'.'.join(path)}' is missing or empty.")


def _wanted(text: str) -> Callable[[Job], bool]:
    """A filter of one equality, on displayName or state."""
    if not text:
        return lambda _: True
    found = _FILTER.fullmatch(text)
    if found is None:
        raise ApiError(
            400, f"Invalid filter {text!r}: this local server knows displayName=, state="
        )
    name, value = found.groups()
    if name == "state":
        return lambda job: job.state == value
    return lambda job: job.body.get("displayName") == value
