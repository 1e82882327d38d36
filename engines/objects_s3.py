"""An object store that speaks S3: AWS, MinIO, RustFS, Ceph, Garage and others, by endpoint."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.header import Header, decode_header, make_header
from pathlib import Path
from secrets import token_hex
from typing import Any

from botocore.exceptions import ClientError

from calls.errors import EngineMisconfigured, ObjectGone, TerminalError
from calls.recording import OWN_PREFIX, ObjectRef, StoredObject
from engines.aws import AwsClient, error_code, translated
from engines.object_keys import check_key

_SETTINGS = "CALLWISE_OBJECTS__"
_BLOCK = 1 << 20
# How stores say that they do not do this at all: asking again cannot help.
_NO_TAGS = {"NotImplemented", "501"}
_NO_VERSIONS = _NO_TAGS
# What stores say where nobody may ask them anything, and of one object that is encrypted or shut away.
_REFUSALS = {"400", "403", "AccessDenied", "BadRequest", "InvalidRequest"}
_NOBODYS_KEY = f"{OWN_PREFIX}doctor"


class S3Store:
    """One bucket. Its client is made on first use, so that nothing is asked of the store before.

    A listing asks for `page_size` objects at a time, at most 1,000.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint_url: str,
        region: str,
        access_key: str,
        secret_key: str,
        page_size: int = 1000,
    ) -> None:
        self.bucket = bucket
        self._page_size = page_size
        self._aws = AwsClient(
            "s3", endpoint_url=endpoint_url, region=region, access_key=access_key, secret_key=secret_key
        )

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """What the store says of the object, or of one version of it."""
        check_key(key)
        chosen = {"VersionId": version_id} if version_id else {}
        with self._asking():
            try:
                answer = self._aws.get().head_object(Bucket=self.bucket, Key=key, **chosen)
            except ClientError as error:
                # A HEAD has no body to say why: a version id that the store cannot read is one that it does not have,
                # and a 404 is a missing bucket as well as a missing object.
                if error_code(error) == "400" and version_id:
                    raise ObjectGone("the store has no such version") from error
                if error_code(error) == "404":
                    self._require_bucket()
                raise
        return self._stored(key, answer)

    def tags(self, key: str) -> dict[str, str]:
        """The object's tags. Raises EngineMisconfigured when the store has no such thing as tags."""
        check_key(key)
        with translated(_SETTINGS):
            try:
                answer = self._aws.get().get_object_tagging(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _NO_TAGS:
                    raise EngineMisconfigured(
                        f"the store at {_SETTINGS}ENDPOINT_URL keeps no tags: set CALLWISE_TELEPHONY__READ_TAGS=false"
                    ) from error
                raise
        return {str(tag["Key"]): str(tag["Value"]) for tag in answer.get("TagSet", ())}

    def fetch(self, ref: ObjectRef, into: Path) -> None:
        """Download to `into`. Raises ObjectGone when the content is not the one that `ref` names any more."""
        check_key(ref.key)
        chosen: dict[str, str] = {}
        if ref.version_id:
            chosen["VersionId"] = ref.version_id
        elif ref.etag:
            chosen["IfMatch"] = f'"{ref.etag}"'
        part = into.with_name(f".{token_hex(8)}.part")
        try:
            with self._asking(), part.open("wb") as file:
                answer = self._aws.get().get_object(Bucket=self.bucket, Key=ref.key, **chosen)
                # Raises when the connection ends before the announced length.
                for block in answer["Body"].iter_chunks(_BLOCK):
                    file.write(block)
            part.replace(into)
        finally:
            part.unlink(missing_ok=True)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from offset `start`; none behind the end."""
        check_key(key)
        if length <= 0:
            return b""
        with self._asking():
            try:
                answer = self._aws.get().get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + length - 1}"
                )
            except ClientError as error:
                if error_code(error) in {"InvalidRange", "416"}:
                    return b""
                raise
            return bytes(answer["Body"].read())

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """Upload in one request; metadata beyond ASCII travels as RFC 2047 encodes it, the way S3 itself shows it."""
        check_key(key)
        carried = {name.lower(): _to_ascii(value) for name, value in (metadata or {}).items()}
        with translated(_SETTINGS):
            if isinstance(source, bytes):
                self._aws.get().put_object(Bucket=self.bucket, Key=key, Body=source, Metadata=carried)
            else:
                with source.open("rb") as body:
                    self._aws.get().put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=carried)
        return self.head(key)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectRef]:
        """Every object under `prefix` behind `after`, in order of key, in memory for one page."""
        chosen = {"StartAfter": after} if after else {}
        with translated(_SETTINGS):
            pages = (
                self._aws.get()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=self.bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page_size}, **chosen)
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield ObjectRef(self.bucket, item["Key"], etag=_bare(item["ETag"]), size_bytes=item["Size"])

    def delete(self, key: str) -> None:
        """Remove the object."""
        check_key(key)
        with translated(_SETTINGS):
            self._aws.get().delete_object(Bucket=self.bucket, Key=key)

    def erase(self, key: str) -> None:
        """Remove the object with all its versions and delete markers; where the store cannot list versions, what is
        there now.
        """
        check_key(key)
        client = self._aws.get()
        with translated(_SETTINGS):
            try:
                versions = list(self._versions(client, key))
            except ClientError as error:
                if error_code(error) not in _NO_VERSIONS:
                    raise
                versions = []
            for version_id in versions:
                client.delete_object(Bucket=self.bucket, Key=key, VersionId=version_id)
        if not versions:
            # Deleting what is not there would leave a marker with its name in a bucket with versions.
            with suppress(ObjectGone):
                self.head(key)
                self.delete(key)

    def _versions(self, client: Any, key: str) -> Iterator[str]:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            yield from (version["VersionId"] for version in found if version["Key"] == key)
            if any(version["Key"] != key for version in found):
                # The key itself comes first of all that begin with it.
                return

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Of one object: what the store refuses of it alone is no fault of the settings, and nothing else waits for it.

        Raises TerminalError (`object_refused`, `object_archived`), and as `translated`.
        """
        with translated(_SETTINGS):
            try:
                yield
            except ClientError as error:
                code = error_code(error)
                if code == "InvalidObjectState":
                    raise TerminalError("the object is archived: restore it", code="object_archived") from error
                if (code in _REFUSALS or code.startswith("KMS.")) and self._answers():
                    raise TerminalError(
                        f"the store refuses this object alone ({code}): look at its rights and its encryption",
                        code="object_refused",
                    ) from error
                raise

    def _answers(self) -> bool:
        """Whether the store tells us of other objects."""
        try:
            self._aws.get().head_object(Bucket=self.bucket, Key=_NOBODYS_KEY)
        except ClientError as error:
            return error_code(error) == "404"
        return True

    def _require_bucket(self) -> None:
        try:
            self._aws.get().head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error_code(error) in {"404", "NoSuchBucket"}:
                raise EngineMisconfigured(f"there is no bucket {self.bucket!r} ({_SETTINGS}BUCKET)") from error

    def _stored(self, key: str, answer: Mapping[str, Any]) -> StoredObject:
        version_id = answer.get("VersionId") or ""
        return StoredObject(
            ObjectRef(
                self.bucket,
                key,
                # A bucket without versioning says `null`: that is no version.
                version_id="" if version_id == "null" else version_id,
                etag=_bare(answer["ETag"]),
                size_bytes=answer["ContentLength"],
            ),
            content_type=answer.get("ContentType", ""),
            metadata={name.lower(): _from_ascii(value) for name, value in answer.get("Metadata", {}).items()},
            last_modified_at=answer.get("LastModified"),
        )


def _bare(etag: str) -> str:
    return etag.strip('"')


def _to_ascii(value: str) -> str:
    return value if value.isascii() and value.isprintable() else Header(value, "utf-8", maxlinelen=10_000).encode()


def _from_ascii(value: str) -> str:
    try:
        return str(make_header(decode_header(value))) if "=?" in value else value
    except (LookupError, ValueError):
        return value
