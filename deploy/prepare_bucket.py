"""Makes the bucket of the recordings, and lets the store announce every new object to one of its notification targets.

The settings of Callwise say which store; CALLWISE_STORE_TARGET is the target's ARN. Doing it again changes nothing.
"""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from runtime.settings import read_settings
from runtime.settings_site import ObjectSettings


def prepare(objects: ObjectSettings, target: str) -> None:
    """Create the bucket where it is not there and set its notifications. Raises ClientError when the store refuses."""
    store = boto3.client(
        "s3",
        endpoint_url=objects.endpoint_url or None,
        region_name=objects.region,
        aws_access_key_id=objects.access_key or None,
        aws_secret_access_key=objects.secret_key.get_secret_value() or None,
        config=Config(retries={"max_attempts": 10, "mode": "standard"}, s3={"addressing_style": "path"}),
    )
    try:
        store.create_bucket(Bucket=objects.bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    store.put_bucket_notification_configuration(
        Bucket=objects.bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"Id": "callwise", "QueueArn": target, "Events": ["s3:ObjectCreated:*"]}]
        },
    )


if __name__ == "__main__":
    try:
        prepare(read_settings().objects, os.environ["CALLWISE_STORE_TARGET"])
    except ClientError as error:
        sys.exit(f"the store refuses: {error}")
