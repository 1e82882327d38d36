"""Make the sample recordings and their truth from samples/scripts: `python -m tools.make_samples`.

Harbour & Pine Appliances, its people and its customers are made up; the numbers are of the range kept for fiction
(555-01xx). Each recording gets the name under which some telephony system would store it (docs/telephony.md), because
that name is where a call's agent, number and time come from.
"""

import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tools.sample_sound import RATE_HZ, Rendered, encode, render

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
SERVICE_NUMBER = "+18005550100"
MP3_BITS_PER_S = 40_000
KEPT_SHARE_OF_TRUNCATED = 0.6
EXTENSIONS = {"Tom Becker": 101, "Sam Reed": 102, "Alex Moore": 103, "James Carter": 104, "Chris Walker": 105}
SPEAKERS = {"A": "agent", "C": "customer"}
SUFFIXES = {
    "mp3": "mp3",
    "mp3_mono": "mp3",
    "flac": "flac",
    "opus": "ogg",
    "wav_mulaw": "wav",
    "wav_truncated": "wav",
    "text": "wav",
}


def main() -> None:
    """Make every recording anew and write gold.json."""
    recordings = SAMPLES / "recordings"
    recordings.mkdir(exist_ok=True)
    gold = []
    for path in sorted((SAMPLES / "scripts").glob("*.yaml")):
        script = yaml.safe_load(path.read_text(encoding="utf-8"))
        script["started_at"] = script["started_at"].replace(tzinfo=None)
        rendered = render(script["lines"], seed=zlib.crc32(path.stem.encode()))
        file = recordings / f"{path.stem}.{SUFFIXES[script['encoding']]}"
        kept_s = write_recording(file, rendered, script["encoding"])
        gold.append(gold_of(path.stem, script, file, rendered, kept_s))
        print(f"{file.name}: {rendered.sound.shape[1] / RATE_HZ:.1f} s, {file.stat().st_size / 1024:.0f} KB")
    (SAMPLES / "gold.json").write_text(json.dumps(gold, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(f.stat().st_size for f in recordings.iterdir()) / 1e6:.2f} MB in all")


def write_recording(file: Path, rendered: Rendered, encoding: str) -> float:
    """Encode one recording; returns how many seconds of it the file really holds."""
    sound, duration_s = rendered.sound, rendered.sound.shape[1] / RATE_HZ
    if encoding == "text":
        file.write_text("The recorder was out of disk space when this call was made.\n", encoding="utf-8")
        return 0.0
    if encoding.startswith("mp3"):
        mono = encoding == "mp3_mono"
        sound = sound.sum(axis=0, keepdims=True) if mono else sound
        encode(file, sound, container="mp3", codec="libmp3lame", bits_per_s=MP3_BITS_PER_S if not mono else 24_000)
    elif encoding == "flac":
        encode(file, sound, container="flac", codec="flac")
    elif encoding == "opus":
        encode(file, sound, container="ogg", codec="libopus", bits_per_s=32_000)
    elif encoding == "wav_mulaw":
        encode(file, sound, container="wav", codec="pcm_mulaw")
    else:
        encode(file, sound, container="wav", codec="adpcm_ima_wav")
        whole = file.read_bytes()
        file.write_bytes(whole[: int(len(whole) * KEPT_SHARE_OF_TRUNCATED)])
        return duration_s * KEPT_SHARE_OF_TRUNCATED
    return duration_s


def gold_of(name: str, script: dict[str, Any], file: Path, rendered: Rendered, kept_s: float) -> dict[str, Any]:
    """The truth about one recording, as samples.SampleRecording reads it."""
    duration_s = rendered.sound.shape[1] / RATE_HZ
    skipped, failed = script.get("skipped"), script.get("failed")
    key, metadata, sidecar = stored_as(script, name, duration_s)
    return {
        "name": name,
        "file": file.name,
        "key": key,
        "metadata": metadata,
        "sidecar": sidecar,
        "profile": None if script["profile"] == "none" else script["profile"],
        "upload_count": script.get("uploads", 1),
        "duration_s": round(kept_s, 2),
        "channel_count": 1 if script["encoding"] == "mp3_mono" else 2,
        "facts": facts_in(script),
        "stage": "skipped" if skipped else "failed" if failed else "done",
        "skip_reason": skipped,
        "failed_code": failed,
        "is_truncated": script["encoding"] == "wav_truncated",
        "reason_code": script.get("reason"),
        "outcome": script.get("outcome"),
        "turns": [
            {"speaker": SPEAKERS[line.side], "start_s": line.start_s, "end_s": line.end_s, "text": line.text}
            for line in rendered.lines
            if line.end_s <= kept_s
        ],
    }


def stored_as(
    script: dict[str, Any], name: str, duration_s: float
) -> tuple[str, dict[str, str], dict[str, Any] | None]:
    """Object key, object metadata and sidecar, as the script's telephony system writes them (times are UTC)."""
    at: datetime = script["started_at"]
    caller, agent, queue = script["customer_number"], script["agent"], script["queue"]
    suffix, number = SUFFIXES[script["encoding"]], zlib.crc32(name.encode())
    extension, serial = EXTENSIONS.get(agent), number % 10**9
    epoch_s = int(at.replace(tzinfo=UTC).timestamp())
    # What an uploader adds to a name that cannot say it.
    tags = {"agent-name": agent, "queue-name": queue} if agent else {"queue-name": queue}
    match script["profile"]:
        case "pca":
            parts = f"CUST_4{caller[-4:]}_GUID_{number:08x}_AGENT_{agent}_DT_{at:%Y-%m-%dT%H-%M-%S}"
            return f"recordings/{at:%Y/%m/%d}/Service_{parts}.{suffix}", {"queue-name": queue, "from": caller}, None
        case "freepbx":
            numbers, unique = f"{SERVICE_NUMBER[1:]}-{caller[1:]}", f"{epoch_s}.{serial % 9000 + 1000}"
            return f"monitor/{at:%Y/%m/%d}/in-{numbers}-{at:%Y%m%d-%H%M%S}-{unique}.{suffix}", tags, None
        case "ringcentral":
            file = f"{at:%Y%m%d-%H%M%S}_{extension}_{caller}_Incoming_Auto_{2 * 10**9 + serial}.{suffix}"
            return f"ringcentral/{file}", tags, None
        case "eightbyeight":
            file = f"users:{extension}:{epoch_s * 1000}-{1794 * 10**9 + serial}-{extension}-{caller}_E.{suffix}"
            return f"8x8/{file}", tags, None
        case "connect":
            contact = f"{number:08x}-5c1d-4b7e-9a42-{number * 2654435761 % 2**48:012x}"
            place = f"connect/harbour-pine/CallRecordings/{at:%Y/%m/%d}"
            record = contact_record(contact, script, duration_s)
            return f"{place}/{contact}_{at:%Y%m%dT%H:%M}_UTC.{suffix}", {"contact-id": contact}, record
        case "plain":
            return f"calls/{at:%Y-%m-%d}/{name[3:]}.{suffix}", {}, plain_sidecar(name, script, duration_s)
    return "New folder/Audio from reception (2).mp3", {}, None


def plain_sidecar(name: str, script: dict[str, Any], duration_s: float) -> dict[str, Any]:
    """The facts under Callwise's own names."""
    at: datetime = script["started_at"]
    return {
        "external_call_id": f"HP-{zlib.crc32(name.encode()):08X}",
        "direction": "inbound",
        "from_number": script["customer_number"],
        "to_number": SERVICE_NUMBER,
        "agent_name": script["agent"],
        "team_name": "Seattle",
        "queue_name": script["queue"],
        "started_at": f"{at.isoformat()}Z",
        "ended_at": f"{(at + timedelta(seconds=round(duration_s))).isoformat()}Z",
        "hold_time_s": hold_time_s(script),
        "agent_channel": 1,
    }


def contact_record(contact_id: str, script: dict[str, Any], duration_s: float) -> dict[str, Any]:
    """The part of an Amazon Connect contact record that speaks of the call."""
    at: datetime = script["started_at"]
    return {
        "ContactId": contact_id,
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": f"{at.isoformat()}Z",
        "DisconnectTimestamp": f"{(at + timedelta(seconds=round(duration_s))).isoformat()}Z",
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "CustomerEndpoint": {"Address": script["customer_number"], "Type": "TELEPHONE_NUMBER"},
        "SystemEndpoint": {"Address": SERVICE_NUMBER, "Type": "TELEPHONE_NUMBER"},
        "Queue": {"Name": script["queue"]},
        "Agent": {"Username": script["agent"], "CustomerHoldDuration": hold_time_s(script)},
    }


def hold_time_s(script: dict[str, Any]) -> float:
    """How long the customer hears the melody, in seconds."""
    return sum(line.get("hold_s", 0) for line in script["lines"])


def facts_in(script: dict[str, Any]) -> dict[str, str]:
    """What a reader of the name, the metadata and the sidecar must find out."""
    if script["profile"] == "none":
        return {}
    facts = {
        "started_at": f"{script['started_at'].isoformat()}Z",
        "customer_number_e164": script["customer_number"],
        "queue_name": script["queue"],
    }
    return facts | ({"agent_name": script["agent"]} if script["agent"] else {})


if __name__ == "__main__":
    main()
