"""What S3 and SQS share: a client per process, made on first use, and botocore's errors in our words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from calls.errors import EngineMisconfigured, ObjectGone, TransientError

_GONE = {"404", "NoSuchKey", "NotFound", "NoSuchVersion", "MethodNotAllowed", "405"}
_NO_PLACE = {"NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_REFUSED = {
    "401",
    "403",
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class AwsClient:
    """A lazy boto3 client of one service: safe to share between threads, made anew in a process after a fork."""

    def __init__(self, service: str, *, endpoint_url: str, region: str, access_key: str, secret_key: str) -> None:
        self._service = service
        self._options = {
            "endpoint_url": endpoint_url or None,
            "region_name": region or None,
            "aws_access_key_id": access_key or None,
            "aws_secret_access_key": secret_key or None,
        }
        self._client: Any = None
        self._pid = 0
        self._lock = Lock()

    def get(self) -> Any:
        """The client of this process."""
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client = self._make()
                self._pid = os.getpid()
            return self._client

    def _make(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=20,
            # The caller tries again, with the database as its memory: one more try here bridges a dropped connection.
            retries={"mode": "standard", "total_max_attempts": 2},
            # Checksums in trailers are an AWS extension that other stores refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # A session of our own: boto3's default one is not safe to make clients from in several threads.
        return boto3.session.Session().client(self._service, config=config, **self._options)


@contextmanager
def translated(settings_prefix: str) -> Iterator[None]:
    """Turn botocore's errors into ours; `settings_prefix` ("CALLWISE_OBJECTS__") names the settings to mend."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise EngineMisconfigured(
            f"no AWS credentials: set {settings_prefix}ACCESS_KEY and {settings_prefix}SECRET_KEY"
        ) from error
    except ClientError as error:
        raise _meaning(error, settings_prefix) from error
    except (BotoCoreError, ValueError) as error:
        # ValueError is botocore's word for an endpoint that is no URL.
        code = "endpoint" if isinstance(error, ValueError) else type(error).__name__
        if isinstance(error, ValueError):
            raise EngineMisconfigured(f"{error}: check {settings_prefix}ENDPOINT_URL") from error
        raise TransientError(f"cannot reach the service: {code}", code="store_unreachable") from error


def error_code(error: ClientError) -> str:
    """The service's own code of an error, such as `NoSuchKey`, or the HTTP status where a HEAD has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _meaning(error: ClientError, settings_prefix: str) -> Exception:
    code = error_code(error)
    if code in _NO_PLACE:
        return EngineMisconfigured(f"{code}: check {settings_prefix}BUCKET, __QUEUE or the endpoint")
    if code in _GONE:
        return ObjectGone("the store has no such object")
    if code in {"PreconditionFailed", "412"}:
        return ObjectGone("the object was replaced by another", code="object_replaced")
    if code in _REFUSED:
        return EngineMisconfigured(
            f"{code}: check {settings_prefix}ACCESS_KEY, {settings_prefix}SECRET_KEY and their rights"
        )
    return TransientError(f"the service says {code}", code="store_unreachable")
