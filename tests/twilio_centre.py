"""A site that hears Twilio: the web app, a folder store, a server in Twilio's place, and the parts to do the work."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from calls.pipeline import QUEUES
from calls.recording import ObjectRef
from crm import tables, waiting
from crm.taxonomies import store_taxonomy
from crm.touched_tables import touched_call
from engines.language_fake import FakeLanguage
from engines.speech import SpeechHints
from engines.speech_fake import FakeSpeech
from ingest.intake import Announced
from ingest.twilio import recording_key, sign
from runtime.listening import make_intake
from runtime.settings import Settings
from runtime.settings_intake import TelephonySettings, TwilioSettings
from runtime.settings_site import DatabaseSettings
from runtime.settings_web import WebSettings
from runtime.wiring import Wiring
from tests.seeds import TAXONOMY
from tests.servers.twilio import ACCOUNT, TOKEN, TwilioServer
from tests.sound import two_channel_wav
from tests.web_client import Clock
from web.app import create_app
from workers.leases import Leases
from workers.parts import Parts
from workers.steps import run_step

PUBLIC_URL = "https://calls.example.org/callwise"
CALL, RECORDING, OTHER = "CA" + "1b" * 16, "RE" + "2c" * 16, "RE" + "3d" * 16
STARTED = datetime(2026, 3, 14, 9, 25, 17, tzinfo=UTC)
SOUND, OTHER_SOUND = two_channel_wav(seconds=3), two_channel_wav(seconds=2)
COMPLETED = {
    "AccountSid": ACCOUNT,
    "CallSid": CALL,
    "RecordingSid": RECORDING,
    "RecordingUrl": "http://169.254.169.254/never/asked",
    "RecordingStatus": "completed",
    "RecordingDuration": "3",
    "RecordingChannels": "2",
    "RecordingStartTime": "Sat, 14 Mar 2026 09:25:17 +0000",
    "RecordingSource": "DialVerb",
    "ErrorCode": "0",
}
ABSENT = COMPLETED | {"RecordingStatus": "absent", "ErrorCode": "16102"}
UNDER_WAY = COMPLETED | {"RecordingStatus": "in-progress"}


@pytest.fixture
def twilio():
    """A server in Twilio's place that keeps two recordings."""
    with TwilioServer() as server:
        server.keep(RECORDING, SOUND)
        server.keep(OTHER, OTHER_SOUND)
        yield server


class Centre:
    """The web app, a folder store, Twilio, and the parts to work."""

    def __init__(self, database, home, twilio, **settings):
        self.database, self.twilio = database, twilio
        given = {
            "telephony": TelephonySettings(
                twilio=TwilioSettings(account_sid=ACCOUNT, auth_token=TOKEN, api_base_url=twilio.url)
            ),
            "web": WebSettings(public_url=PUBLIC_URL),
            "database": DatabaseSettings(url=database.url.render_as_string(hide_password=False)),
        }
        self.wiring = Wiring(Settings(home=home, **(given | settings)))
        self.clock = Clock(datetime.now(UTC))
        self.client = TestClient(
            create_app(self.wiring, clock=self.clock), base_url="http://127.0.0.1", raise_server_exceptions=False
        )
        self.leases = Leases(database, 10.0)
        self.home = home
        with database.write() as connection:
            store_taxonomy(connection, TAXONOMY, STARTED)

    def send(self, parameters, *, query="", url=PUBLIC_URL, token=TOKEN, **headers):
        """Post it as Twilio does: signed over the address that the world knows."""
        whole = f"{url}/webhooks/twilio" + (f"?{query}" if query else "")
        signature = sign(token, whole, parameters.items())
        return self.client.post(
            "/webhooks/twilio" + (f"?{query}" if query else ""),
            content=urlencode(parameters),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": signature,
                **headers,
            },
        )

    def take_event(self, recording=RECORDING):
        """The store's own event for the object, through real intake."""
        intake = make_intake(self.wiring)
        return intake.take([Announced((ObjectRef(self.wiring.objects.bucket, recording_key(CALL, recording)),))])

    def parts(self, **changes):
        speech, language = FakeSpeech(), FakeLanguage()
        return Parts(
            database=self.database,
            objects=self.wiring.objects,
            speech=lambda: speech,
            language=lambda: language,
            twilio=lambda: self.wiring.twilio,
            default_taxonomy=lambda: TAXONOMY,
            leases=self.leases,
            ring=None,
            queues=QUEUES,
            hints=SpeechHints(),
            scratch=self.home / "scratch",
            **({"backoff_s": 0.0} | changes),
        )

    def due(self):
        with self.database.read() as connection:
            return waiting.due(connection, now=datetime.now(UTC), limit=10, queues=QUEUES)

    def work(self, parts=None, rounds=12):
        parts = parts or self.parts()
        for _ in range(rounds):
            due = self.due()
            if not due:
                return
            for call_id, step in due:
                run_step(parts, step, call_id)

    def rows(self, table):
        with self.database.read() as connection:
            return connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()

    def calls(self):
        return sorted(self.rows(tables.call), key=lambda row: row.external_call_id)

    def call(self):
        [found] = self.calls()
        return found

    def everything(self):
        """Every row but the tellings, which note when they were told last."""
        return {table.name: self.rows(table) for table in tables.metadata.sorted_tables if table is not tables.telling}

    def touched(self):
        """The calls that the roll-ups are to look at."""
        return {row.call_id for row in self.rows(touched_call)}
