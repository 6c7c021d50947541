"""Which credentials a call would find, and what to do where there are none; never a key itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kl_core.ui.gemini_settings import Values, is_loopback

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
REDIRECTS = {True: "GOOGLE_VERTEX_BASE_URL", False: "GOOGLE_GEMINI_BASE_URL"}  # by Vertex or not
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_WELL_KNOWN = "application_default_credentials.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is there.

    Attributes:
        key: the environment variable that holds a key, None where none does.
        default: where application-default credentials were found, None where nowhere.
        missing_file: GOOGLE_APPLICATION_CREDENTIALS names a file that is not there.
    """

    key: str | None = None
    default: str | None = None
    missing_file: bool = False


def found(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Credentials:
    """Look, without reading any of them."""
    key = next((name for name in KEYS if environment.get(name, "").strip()), None)
    named = environment.get(_FILE)
    if named:
        there = Path(named).is_file()
        return Credentials(key, _FILE if there else None, not there)
    folder = environment.get("CLOUDSDK_CONFIG")
    config = Path(folder) if folder else (home or Path.home()) / ".config" / "gcloud"
    there = (config / _WELL_KNOWN).is_file()
    return Credentials(key, "gcloud's application-default credentials" if there else None)


def sentence(kind: str, values: Values, have: Credentials) -> str:
    """What will be used for these settings, or what to do."""
    if _local(kind, values):
        return "The server is on this machine: it needs no credentials, and gets none."
    if _vertex_asked(kind, values):
        return _vertex(have)
    if have.key:
        return f"A key was found in {have.key}; it is used for the Developer API."
    return f"No key was found: {needed(kind, values, have)}."


def needed(kind: str, values: Values, have: Credentials) -> str | None:
    """What has to be done before anything can be asked; None where it can be tried.

    Without a key the Developer API refuses for certain; Vertex AI may find a service account.
    """
    if _local(kind, values) or _vertex_asked(kind, values) or have.key:
        return None
    return (
        "set GEMINI_API_KEY, the key for the Developer API, in the environment and start the app "
        "again, or type a project id to use Vertex AI"
    )


def doubtful(kind: str, values: Values, have: Credentials) -> bool:
    """Whether nothing was found for Vertex AI, which may still find a service account."""
    asked = _vertex_asked(kind, values) and not _local(kind, values)
    return asked and have.default is None


def _local(kind: str, values: Values, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the calls go to this machine; the clients' own redirects count too."""
    redirect = REDIRECTS[_vertex_asked(kind, values)]
    return is_loopback(values.get("base_url") or environment.get(redirect) or "")


def _vertex_asked(kind: str, values: Values) -> bool:
    return kind == "batch" or bool(values.get("project_id"))


def _vertex(have: Credentials) -> str:
    if have.default:
        return f"Credentials for Vertex AI were found ({have.default})."
    if have.missing_file:
        return (
            f"{_FILE} names a file that is not there. Correct it and start the app again, or run: "
            "gcloud auth application-default login"
        )
    return (
        "No credentials for Vertex AI were found. Run: gcloud auth application-default login "
        "(a machine of Google Cloud needs none: its service account is used)."
    )
