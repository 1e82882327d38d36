"""Where exports go by the settings: a folder, or a bucket reached as the recordings' is."""

from pathlib import Path

from analytics.export_targets import BucketTarget, FolderTarget, Target
from calls.errors import SettingsError
from runtime.settings import Settings

_S3 = "s3://"


def target_at(settings: Settings, place: str) -> Target:
    """The folder, or the bucket and prefix of s3://bucket/prefix. Raises SettingsError for any other address."""
    if place.startswith(_S3):
        from engines.objects_s3 import S3Store

        bucket, _, prefix = place.removeprefix(_S3).partition("/")
        if not bucket:
            raise SettingsError(f"{place} names no bucket: write s3://bucket/prefix")
        objects = settings.objects
        store = S3Store(
            bucket,
            endpoint_url=objects.endpoint_url,
            region=objects.region,
            access_key=objects.access_key,
            secret_key=objects.secret_key.get_secret_value(),
        )
        return BucketTarget(store, prefix, place=place)
    if "://" in place:
        raise SettingsError(f"{place}: exports go to a folder or to s3://bucket/prefix")
    return FolderTarget(Path(place).expanduser().absolute())
