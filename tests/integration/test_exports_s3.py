"""An export to S3, as the settings name it."""

import hashlib
import io
import json
from datetime import timedelta
from typing import Any

import pyarrow.parquet
import pytest

from calls.errors import EngineMisconfigured, SettingsError
from crm.database import Database
from runtime.exporting import export_as_set, exported, target_at
from runtime.settings import Settings
from tests.calls_made_up import NOON, add_call, prepare
from tests.servers.aws import Aws


def settings_for(aws: Aws, **exports: Any) -> Settings:
    """Settings with that store's keys."""
    keys = {
        "endpoint_url": aws.endpoint_url,
        "region": aws.region,
        "access_key": aws.access_key,
        "secret_key": aws.secret_key,
    }
    return Settings.model_validate({"objects": keys, "exports": {"folder": "s3://bi-bucket/calls/all", **exports}})


def test_what_lies_in_the_bucket_is_what_the_manifest_lists(aws: Aws, database: Database) -> None:
    aws.create_bucket("bi-bucket")
    with database.write() as connection:
        prepare(connection)
        for number in range(3):
            add_call(connection, number, NOON - timedelta(days=31 * number))
    settings = settings_for(aws, kinds=["parquet", "lake"])
    files = export_as_set(database, settings, settings.exports.kinds)
    client = aws.client("s3")
    listed = client.list_objects_v2(Bucket="bi-bucket")["Contents"]
    there = {item["Key"]: client.get_object(Bucket="bi-bucket", Key=item["Key"])["Body"].read() for item in listed}
    manifest = json.loads(there.pop("calls/all/manifest.json"))
    assert {f"calls/all/{entry['path']}": entry["sha256"] for entry in manifest["files"]} == {
        key: hashlib.sha256(content).hexdigest() for key, content in there.items()
    }
    assert {file.place for file in files} == {f"s3://bi-bucket/{key}" for key in there}
    assert [entry["path"] for entry in exported(settings)] == [entry["path"] for entry in manifest["files"]]
    months = [key for key in there if "/fact_call/" in key]
    assert len(months) == 3
    assert all(pyarrow.parquet.read_table(io.BytesIO(there[key])).num_rows == 1 for key in months)
    assert "s3://bi-bucket/calls/all/parquet/fact_call" in there["calls/all/lake/duckdb.sql"].decode()


def test_a_bucket_that_is_not_there_and_an_address_that_is_none_are_named(aws: Aws, database: Database) -> None:
    with pytest.raises(EngineMisconfigured):
        export_as_set(database, settings_for(aws, folder="s3://no-such-bucket/x"), ("lake",))
    for place in ("s3:///x", "gs://bucket/x", "https://example.org/x"):
        with pytest.raises(SettingsError):
            target_at(settings_for(aws), place)
