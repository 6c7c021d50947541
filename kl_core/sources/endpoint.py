"""Where Gemini is called: which of its two APIs, at which address, with whose rights."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from kl_core.addresses import check_address
from kl_core.errors import InputError

DEFAULT_LOCATION = "us-central1"
KEY_NAMES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""The environment's names of a key, in the order in which the client looks at them."""
PLACEHOLDER = "no-key-needed"
"""Goes to servers on this machine in place of a key or token."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API and its address; never a key.

    Attributes:
        vertex: Vertex AI; otherwise the Developer API.
        base_url: where the API is instead of at Google; None for Google.
        project_id, location: of Vertex, None for the Developer API.
        loopback: the address is on this machine, and no real key or token may go there.
    """

    vertex: bool
    base_url: str | None
    project_id: str | None
    location: str | None
    loopback: bool

    @property
    def name(self) -> str:
        """For sentences: which API, and where."""
        if self.vertex:
            api = f"Vertex AI (project {self.project_id}, {self.location})"
        else:
            api = "the Gemini Developer API"
        return f"{api} at {self.base_url}" if self.base_url else api


def resolve_endpoint(
    project_id: str | None, location: str | None, base_url: str | None
) -> Endpoint:
    """Vertex with a project id, else the Developer API; checked as far as it can be without a call.

    The client's own redirects, GOOGLE_VERTEX_BASE_URL and GOOGLE_GEMINI_BASE_URL, count as a
    base URL where none is given.

    Raises:
        InputError: an address, project or location that cannot be used, or no key or
            credentials for it.
    """
    vertex = bool(project_id)
    if location and not vertex:
        raise InputError(
            f"the location {location} belongs to Vertex AI, which also needs --project-id"
        )
    redirect = "GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL"
    source = "--base-url" if base_url else redirect
    address = base_url or os.environ.get(redirect) or None
    loopback = check_address(address, source) if address else False
    if not vertex:
        if not loopback and not any(os.environ.get(name, "").strip() for name in KEY_NAMES):
            raise InputError(
                "neither GEMINI_API_KEY nor GOOGLE_API_KEY is set: set one of them for the "
                "Developer API, or give --project-id for Vertex AI"
            )
        return Endpoint(False, address, None, None, loopback)
    place = location or DEFAULT_LOCATION
    _check_name("project id", str(project_id), r"[a-z0-9][a-z0-9.:-]*")
    _check_name("location", place, r"[a-z0-9-]+")  # becomes a part of the host's name
    if not loopback:
        _check_credentials()
    return Endpoint(True, address, project_id, place, loopback)


def _check_name(what: str, value: str, pattern: str) -> None:
    if not re.fullmatch(pattern, value):
        raise InputError(f"the {what} {value!r} is none: Google's have letters, digits and dashes")


def _check_credentials() -> None:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        google.auth.default(scopes=[SCOPE])
    except GoogleAuthError:
        raise InputError(
            "Vertex AI needs application-default credentials and there are none that work: run "
            "`gcloud auth application-default login`"
        ) from None
