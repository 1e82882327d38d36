"""Messages of stores: every shape in which one object is announced, and what nobody can read."""

import json
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, quote_plus

BUCKET = "recordings"


def created(dice: random.Random, key: str) -> bytes:
    """The object's message in the way of one of the stores."""
    shape = dice.choice((_s3, _s3, _minio, _ceph, _eventbridge, _sns))
    return json.dumps(shape(key)).encode()


def s3(keys: Sequence[str], bucket: str = BUCKET) -> bytes:
    """One message of Amazon S3 about these objects."""
    return json.dumps({"Records": [_record(key, bucket=bucket) for key in keys]}).encode()


def removed(key: str) -> bytes:
    """The message of an object that was deleted."""
    return json.dumps({"Records": [_record(key, event="ObjectRemoved:Delete")]}).encode()


def join(first: bytes, second: bytes) -> bytes | None:
    """One message with the records of both, where both are plain ones of S3; a broken record stands between them."""
    try:
        documents = [json.loads(first), json.loads(second)]
        records = [document["Records"] for document in documents if set(document) == {"Records"}]
        if len(records) < 2 or any(record["eventSource"] != "aws:s3" for both in records for record in both):
            return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return json.dumps({"Records": [*records[0], {"eventSource": "aws:s3", "s3": None}, *records[1]]}).encode()


def garbage(dice: random.Random, count: int) -> list[bytes]:
    """Messages that nobody can read: no JSON, no UTF-8, nothing at all, too much, the wrong shape."""
    made = (
        lambda: b"{" + dice.randbytes(8).hex().encode(),
        lambda: b"\xff\xfe" + dice.randbytes(20),
        lambda: b"",
        lambda: b'"' + b"x" * dice.randrange(50_000, 200_000) + b'"',
        lambda: json.dumps([dice.random()]).encode(),
        lambda: json.dumps({"hello": dice.random()}).encode(),
        lambda: b"[" * 5_000,
        lambda: b"\0" * 40,
        lambda: b"null",
    )
    return [made[number % len(made)]() for number in range(count)]


def is_carried_as_text(body: bytes) -> bool:
    """Whether a queue that carries text only, such as SQS, could carry it: XML's characters, and at least one."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and all(sign in "\t\n\r" or sign >= " " for sign in text)


def _record(
    key: str, *, bucket: str = BUCKET, event: str = "ObjectCreated:Put", encoded: bool = True
) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": event,
        "eventTime": "2026-03-14T09:25:17.000Z",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/") if encoded else key, "size": 1, "eTag": "old"},
        },
    }


def _s3(key: str) -> dict[str, Any]:
    return {"Records": [_record(key)]}


def _minio(key: str) -> dict[str, Any]:
    record = _record(key, event="s3:ObjectCreated:Put") | {"eventSource": "minio:s3"}
    record["s3"]["object"]["key"] = quote(key, safe="")
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/{key}", "Records": [record]}


def _ceph(key: str) -> dict[str, Any]:
    return {"Records": [_record(key, encoded=False) | {"eventSource": "ceph:s3"}]}


def _eventbridge(key: str) -> dict[str, Any]:
    return {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": BUCKET}, "object": {"key": key, "size": 5, "etag": "old"}, "reason": "PutObject"},
    }


def _sns(key: str) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": json.dumps(_s3(key))}
