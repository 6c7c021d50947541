"""Which credentials a call would find, and what to do where there are none; never a key itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kl_core.ui.gemini_settings import Values, is_loopback

KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
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
    key = next((name for name in KEYS if environment.get(name)), None)
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
    if is_loopback(values.get("base_url") or ""):
        return "The server is on this machine: it needs no credentials, and gets none."
    if kind == "batch" or values.get("project_id"):
        return _vertex(have)
    if have.key:
        return f"A key was found in {have.key}; it is used for the Developer API."
    return (
        "No key was found for the Developer API. Set GEMINI_API_KEY in the environment and start "
        "the app again, or type a project id to use Vertex AI."
    )


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
