"""The bucket that batch jobs read from and write to, by Google's own client."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import google_crc32c
from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from google.oauth2.credentials import Credentials

from kl_core.addresses import check_address
from kl_core.errors import InputError, RunError
from kl_core.sources.endpoint import PLACEHOLDER
from kl_core.sources.storage_errors import storage_error

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_CHUNK = 16 << 20
_FIRST = DEFAULT_RETRY.with_timeout(15.0)  # a wrong address is told soon
_MORE = DEFAULT_RETRY.with_timeout(60.0)


def default_bucket(project: str) -> str:
    """`{project}-kl-batch`; a project of a domain has `:` and `.`, a bucket must not."""
    return re.sub(r"[:.]", "-", project) + "-kl-batch"


class Bucket:
    """One bucket. Every method raises CallError, sorted by what to do about it."""

    def __init__(self, client: storage.Client, name: str) -> None:
        self._client, self.name = client, name
        self._bucket: Any = client.bucket(name)

    @classmethod
    def open(cls, project: str, name: str, location: str, storage_url: str | None) -> Self:
        """The bucket, created if it is missing.

        Args:
            storage_url: where Cloud Storage is instead of at Google; a server on this machine
                gets a placeholder, any other address needs https.

        Raises:
            InputError: no such address or name, no credentials, or somebody else's bucket.
            CallError: as all methods.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no name of a bucket: 3 to 63 small letters, digits, dashes, dots "
                "and underscores; give another with --bucket-name"
            )
        opened = cls(_client(project, storage_url), name)
        with opened._sorted():
            opened._create(location)
        return opened

    def _create(self, location: str) -> None:
        """Create unless it is there; another creator may be faster."""
        try:
            if self._client.lookup_bucket(self.name, retry=_FIRST) is None:
                where = "us" if location == "global" else location  # buckets have no "global"
                self._client.create_bucket(self.name, location=where, retry=_FIRST)
        except Conflict:
            try:
                self._client.get_bucket(self.name, retry=_FIRST)
            except (Forbidden, NotFound):
                raise self._theirs() from None
        except Forbidden:
            raise self._theirs() from None

    def _theirs(self) -> InputError:
        return InputError(
            f"the bucket {self.name} belongs to somebody else or may not be used with this "
            "login: name another with --bucket-name"
        )

    def uri(self, name: str) -> str:
        """`gs://bucket/name`."""
        return f"gs://{self.name}/{name}"

    def upload(self, path: Path, name: str) -> None:
        """Send a file in parts, never over another object.

        An object of the same content is fine: an upload whose answer was lost.

        Raises:
            RunError: there is another object of this name.
        """
        blob = self._bucket.blob(name, chunk_size=_CHUNK)
        with self._sorted():
            try:
                blob.upload_from_filename(
                    str(path), content_type="application/jsonl", if_generation_match=0, retry=_MORE
                )
            except PreconditionFailed:
                blob.reload(retry=_MORE)
                if blob.crc32c != _crc32c(path):
                    raise RunError(
                        f"{self.uri(name)} is there already and differs from {path.name}: delete "
                        "it, or start the run anew"
                    ) from None

    def list(self, prefix: str) -> list[str]:
        """Names of objects that begin with `prefix`, sorted."""
        with self._sorted():
            found = self._client.list_blobs(self.name, prefix=prefix, retry=_MORE)
            return [str(blob.name) for blob in found]

    def download(self, name: str, path: Path) -> None:
        """The object into a file, checked by its checksum; nothing is held in memory."""
        with self._sorted():
            self._bucket.blob(name).download_to_filename(str(path), retry=_MORE)

    def delete_prefix(self, prefix: str) -> int:
        """Delete all objects that begin with `prefix`; how many there were."""
        names = self.list(prefix)
        with self._sorted():
            for name in names:
                try:
                    self._bucket.blob(name).delete(retry=_MORE)
                except NotFound:
                    continue
        return len(names)

    def offer_lifecycle(self, days: int, prefix: str) -> bool:
        """Let Google delete objects under `prefix` after some days; other rules stay.

        Returns:
            False where the bucket has the rule already.
        """
        with self._sorted():
            return self._changing(lambda: self._add_rule(days, prefix))

    def _add_rule(self, days: int, prefix: str) -> bool:
        self._bucket.reload(retry=_MORE)
        wanted = {"age": days, "matchesPrefix": [prefix]}
        for rule in self._bucket.lifecycle_rules:
            if rule["action"] == {"type": "Delete"} and rule["condition"] == wanted:
                return False
        self._bucket.add_lifecycle_delete_rule(age=days, matches_prefix=[prefix])
        self._bucket.patch(if_metageneration_match=self._bucket.metageneration, retry=_MORE)
        return True

    def _changing(self, change: Callable[[], bool]) -> bool:
        """Try a change again that somebody else's change overtook."""
        for _ in range(4):
            try:
                return change()
            except PreconditionFailed:
                continue
        return change()

    @contextmanager
    def _sorted(self) -> Iterator[None]:
        try:
            yield
        except (InputError, RunError):
            raise
        except Exception as error:
            known = storage_error(error, self.name)
            if known is None:
                raise
            raise known from None


def _client(project: str, storage_url: str | None) -> storage.Client:
    client = _new_client(project, storage_url)
    client._http.max_redirects = 0  # a token and the prompts go nowhere else
    return client


def _new_client(project: str, storage_url: str | None) -> storage.Client:
    if storage_url is None:
        try:
            return storage.Client(project=project)
        except GoogleAuthError:
            raise InputError(
                "Cloud Storage needs application-default credentials and there are none that "
                "work: run `gcloud auth application-default login`"
            ) from None
    url = storage_url.rstrip("/")
    options = {"api_endpoint": url}
    if not check_address(url, "--storage-url"):
        return storage.Client(project=project, client_options=options)
    credentials = Credentials(token=PLACEHOLDER)  # type: ignore[no-untyped-call]
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    session.trust_env = False  # no proxy stands before this machine
    return storage.Client(
        project=project, credentials=credentials, client_options=options, _http=session
    )


def _crc32c(path: Path) -> str:
    total: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    with path.open("rb") as data:
        while chunk := data.read(1 << 20):
            total.update(chunk)
    return base64.b64encode(total.digest()).decode()
