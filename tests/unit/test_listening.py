"""Laws of choosing listeners: what cannot be listened to is a wrong setting, said at once and by name."""

import pytest

from calls.errors import SettingsError
from crm.database import Database
from engines.objects_folder import FolderStore
from engines.objects_memory import MemoryStore
from ingest.intake import Intake
from ingest.listening import Source, make_listeners
from ingest.profiles import Profiles

PROFILES = Profiles.of(("plain",), region="US", time_zone="UTC")


def make_intake(tmp_path, objects=None) -> Intake:
    store = objects or FolderStore(tmp_path, bucket="recordings")
    return Intake(Database(f"sqlite:///{tmp_path}/x.db"), store, PROFILES)


def test_several_sources_have_a_listener_each_but_those_that_send_by_themselves(tmp_path):
    sources = [
        Source("folder"),
        Source("http"),
        Source("amqp", url="amqp://guest@127.0.0.1//", queue="events"),
        Source("sqs", queue="https://sqs.example/1/events"),
    ]
    names = [listener.name for listener in make_listeners(make_intake(tmp_path), sources)]
    assert names == ["folder", "amqp events", "sqs events"]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (Source("amqp", queue="events"), r"events\.0\.url"),
        (Source("amqp", url="amqp://x"), r"events\.0\.queue"),
        (Source("sqs"), r"events\.0\.queue"),
    ],
)
def test_a_source_without_its_place_is_a_wrong_setting(tmp_path, source, named):
    with pytest.raises(SettingsError, match=named):
        make_listeners(make_intake(tmp_path), [source])


def test_only_a_folder_can_be_watched(tmp_path):
    with pytest.raises(SettingsError, match="CALLWISE_EVENTS"):
        make_listeners(make_intake(tmp_path, MemoryStore()), [Source("folder")])


def test_a_secret_is_not_shown_with_its_source():
    assert "hidden" not in repr(Source("sqs", queue="q", secret_key="hidden"))
