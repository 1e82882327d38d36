"""Where exports go by the settings: a folder, or a bucket reached as the recordings' is."""

from collections.abc import Collection
from pathlib import Path

from analytics.export_pieces import Entry
from analytics.export_targets import BucketTarget, FolderTarget, Target
from analytics.exports import ExportedFile, export
from calls.errors import SettingsError
from crm.database import Database
from runtime.choice import choose_redaction
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


def export_as_set(
    database: Database, settings: Settings, kinds: Collection[str], place: str = "", *, full: bool = False
) -> tuple[ExportedFile, ...]:
    """Export these kinds to `place`, or to where the settings say. Raises ExportFailed, SettingsError."""
    return export(
        database,
        kinds,
        target_at(settings, place or settings.exports_place),
        zone=settings.site.named_zone,
        personal_data=settings.exports.personal_data,
        title=settings.site.name,
        full=full,
        find=choose_redaction(settings),
    )


def exported(settings: Settings) -> tuple[Entry, ...]:
    """What lies where the settings say, by the last manifest: path, kind, rows, bytes, sha256, generated_at."""
    return tuple(target_at(settings, settings.exports_place).listed().values())
