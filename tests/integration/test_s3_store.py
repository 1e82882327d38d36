"""Laws of the S3 store about versions and about a store that does not answer or does not want to."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from calls.errors import EngineMisconfigured, ObjectGone, TerminalError, TransientError
from calls.recording import ObjectRef
from engines.objects_s3 import S3Store
from tests.servers.aws import Aws
from tests.servers.process import free_port


def make_store(aws: Aws, bucket: str = "recordings", **changed: str) -> S3Store:
    options = {
        "endpoint_url": aws.endpoint_url,
        "region": aws.region,
        "access_key": aws.access_key,
        "secret_key": aws.secret_key,
    }
    return S3Store(bucket, **{**options, **changed})


def test_an_older_version_is_still_found_by_its_id(aws: Aws, tmp_path):
    aws.create_bucket("recordings")
    aws.client("s3").put_bucket_versioning(Bucket="recordings", VersioningConfiguration={"Status": "Enabled"})
    store = make_store(aws)
    old, new = store.put("a.wav", b"old").ref, store.put("a.wav", b"new").ref
    assert old.version_id != new.version_id
    assert store.head("a.wav").ref == new
    store.fetch(old, tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"


def test_an_erased_object_is_gone_with_every_version_and_marker(aws: Aws):
    """And nothing of what only begins with the same letters."""
    aws.create_bucket("recordings")
    s3 = aws.client("s3")
    s3.put_bucket_versioning(Bucket="recordings", VersioningConfiguration={"Status": "Enabled"})
    store = make_store(aws)
    store.put("a.wav", b"old")
    store.put("a.wav", b"new")
    store.delete("a.wav")
    store.put("a.wav.json", b"other")
    store.erase("a.wav")
    store.erase("a.wav")
    left = s3.list_object_versions(Bucket="recordings")
    assert [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in left.get(kind, ())] == ["a.wav.json"]


def test_a_missing_bucket_is_a_wrong_setting_and_no_missing_recording(aws: Aws, tmp_path):
    store = make_store(aws, "no-such-bucket")
    for ask in (
        lambda: store.head("a.wav"),
        lambda: store.fetch(ObjectRef("no-such-bucket", "a.wav"), tmp_path / "x"),
        lambda: list(store.list()),
        lambda: store.put("a.wav", b"x"),
    ):
        with pytest.raises(EngineMisconfigured, match="CALLWISE_OBJECTS__BUCKET"):
            ask()


def test_a_store_that_does_not_answer_may_answer_later(aws: Aws):
    store = make_store(aws, endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError) as refused:
        store.head("a.wav")
    assert refused.value.code == "store_unreachable"


def test_an_endpoint_that_is_no_url_names_the_setting(aws: Aws):
    with pytest.raises(EngineMisconfigured, match="CALLWISE_OBJECTS__ENDPOINT_URL"):
        make_store(aws, endpoint_url="not a url").head("a.wav")


class _Shut(BaseHTTPRequestHandler):
    """A store that shows nobody some objects, or nothing to anybody."""

    def do_GET(self) -> None:
        shuts_all = self.path.startswith("/shut/")
        archived = b"<Error><Code>InvalidObjectState</Code></Error>"
        body = archived if "archived" in self.path else b"<Error><Code>AccessDenied</Code></Error>"
        self.send_response(403 if shuts_all or "wav" in self.path else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_object_that_the_store_refuses_alone_stops_nobody_else(aws: Aws, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shut) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint_url = f"http://127.0.0.1:{server.server_port}"
        store, wrong = (make_store(aws, bucket, endpoint_url=endpoint_url) for bucket in ("recordings", "shut"))
        ref = ObjectRef("recordings", "a.wav")
        for ask, code in (
            (lambda: store.head("a.wav"), "object_refused"),
            (lambda: store.read_range("a.wav", 0, 9), "object_refused"),
            (lambda: store.fetch(ref, tmp_path / "x"), "object_refused"),
            (lambda: store.fetch(ref._replace(key="archived.wav"), tmp_path / "x"), "object_archived"),
        ):
            with pytest.raises(TerminalError) as refused:
                ask()
            assert refused.value.code == code
        with pytest.raises(EngineMisconfigured, match="CALLWISE_OBJECTS__SECRET_KEY"):
            wrong.head("a.wav")
        server.shutdown()


class _WithoutTags(BaseHTTPRequestHandler):
    """A store that has no such thing as tags, as some have it."""

    def do_GET(self) -> None:
        body = b"<Error><Code>NotImplemented</Code><Message>no tags</Message></Error>"
        self.send_response(501)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_store_without_tags_names_the_setting_that_asks_for_them(aws: Aws):
    with ThreadingHTTPServer(("127.0.0.1", 0), _WithoutTags) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        store = make_store(aws, endpoint_url=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(EngineMisconfigured, match="CALLWISE_TELEPHONY__READ_TAGS"):
            store.tags("a.wav")
        server.shutdown()


def test_a_missing_object_is_gone_not_misconfigured(aws: Aws):
    aws.create_bucket("recordings")
    with pytest.raises(ObjectGone):
        make_store(aws).head("gone.wav")
