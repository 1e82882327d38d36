"""Make the offline speech engine's language model: `python -m tools.make_language_model`.

The text it is made of is the project's own: engines/offline_speech/phrases.txt (what people say at any service centre),
the taxonomy's examples, and the scripts of the sample recordings. The last of these means that the demo's own sentences
are in the model that transcribes the demo. `--measure` prints the word error rate over the sample recordings, and with
`--without-samples` what it would be for calls that the model has never seen. docs/accuracy.md has both figures.
"""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pocketsphinx
import yaml
from pocketsphinx.lm import ArpaBoLM

from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker
from engines.audio import decode
from engines.speech import SpeechHints
from engines.speech_offline import OfflineSpeech
from samples import sample_recordings

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "engines" / "offline_speech"
# How often a sentence counts: phrases with slots are many already.
PLAIN_PHRASE_COUNT, TAXONOMY_COUNT, SCRIPT_COUNT = 4, 2, 4
_WORD = re.compile(r"[A-Za-z']+")


def main() -> None:
    """Write the model, or measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-samples", action="store_true", help="leave the sample scripts out; with --measure")
    parser.add_argument("--measure", action="store_true", help="word error rate over the sample recordings")
    asked = parser.parse_args()
    if asked.without_samples and not asked.measure:
        parser.error("--without-samples is for --measure: the committed model has them")
    if not asked.measure:
        print(write_model(FOLDER, with_samples=True))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(write_model(Path(folder), with_samples=not asked.without_samples))
        measure(OfflineSpeech(Path(folder)))


def write_model(folder: Path, *, with_samples: bool) -> str:
    """Write words.dict, names.txt and model.lm into `folder`; returns their sizes in words."""
    sentences = [*phrases(), *taxonomy_sentences(), *(script_sentences() if with_samples else ())]
    pronunciations = read_pronunciations()
    spoken = [[word for word in _WORD.findall(sentence) if word.lower() in pronunciations] for sentence in sentences]
    lines = [" ".join(words).lower() for words in spoken if words]
    vocabulary = sorted({word for line in lines for word in line.split()})
    (folder / "words.dict").write_text("".join(chain.from_iterable(pronunciations[word] for word in vocabulary)))
    (folder / "names.txt").write_text("\n".join(proper_names(spoken)) + "\n")
    model = ArpaBoLM(text="\n".join(lines), add_start=True)
    model.compute()
    with (folder / "model.lm").open("w") as file:
        model.write(file)
    return f"{len(vocabulary)} words, {len(lines)} sentences, {(folder / 'model.lm').stat().st_size / 1024:.0f} KB"


def phrases() -> Iterator[str]:
    """The sentences of phrases.txt, each slot filled with every word of its list in turn."""
    lists: dict[str, list[str]] = {}
    for line in (FOLDER / "phrases.txt").read_text(encoding="utf-8").splitlines():
        name, equals, words = line.partition(" = ")
        if line.startswith("#"):
            continue
        if equals:
            lists[name] = words.split()
            continue
        slots = re.findall(r"\{(\w+)\}", line)
        for turn in range(max((len(lists[slot]) for slot in slots), default=PLAIN_PHRASE_COUNT)):
            filled = line
            for place, slot in enumerate(slots):
                # Slots of one sentence walk at different paces, or "four four four" would be all that is learnt.
                word = lists[slot][(turn * (2 * place + 1) + 3 * place) % len(lists[slot])]
                filled = filled.replace(f"{{{slot}}}", word.replace("_", " "), 1)
            yield filled


def taxonomy_sentences() -> Iterator[str]:
    """The bundled taxonomy's labels, definitions and examples."""
    taxonomy = parse_taxonomy((ROOT / "runtime" / "taxonomies" / "service_centre.yaml").read_text(encoding="utf-8"))
    for reason in taxonomy.reasons:
        for text in (reason.label, reason.definition, *reason.examples):
            for sentence in split_sentences(text):
                yield from [sentence] * TAXONOMY_COUNT


def script_sentences() -> Iterator[str]:
    """What is said in the sample recordings."""
    for path in sorted((ROOT / "samples" / "scripts").glob("*.yaml")):
        for line in yaml.safe_load(path.read_text(encoding="utf-8"))["lines"]:
            for who, text in line.items():
                if who[0] in "AC":
                    for sentence in split_sentences(text):
                        yield from [sentence] * SCRIPT_COUNT


def split_sentences(text: str) -> list[str]:
    """At full stops, question marks and exclamation marks."""
    return [part.strip() for part in re.split(r"[.?!]", text) if part.strip()]


def read_pronunciations() -> dict[str, list[str]]:
    """Lines of the CMU dictionary that comes with pocketsphinx, by word."""
    lines: dict[str, list[str]] = defaultdict(list)
    with Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).open(encoding="utf-8") as file:
        for line in file:
            lines[line.split(maxsplit=1)[0].partition("(")[0]].append(line)
    return lines


def proper_names(sentences: list[list[str]]) -> list[str]:
    """Words that are written with a capital wherever they do not begin a sentence."""
    forms: dict[str, set[bool]] = defaultdict(set)
    for words in sentences:
        for word in words[1:]:
            forms[word.lower()].add(word[0].isupper())
    return sorted(word for word, found in forms.items() if found == {True})


def measure(engine: OfflineSpeech) -> None:
    """Print the word error rate per sample recording and over all of them."""
    wrong, said = 0, 0
    for recording in sample_recordings():
        if not recording.turns:
            continue
        heard = engine.transcribe(decode(recording.path).audio, SpeechHints(), lambda _: None)
        errors, count = 0, 0
        for channel in range(recording.channel_count):
            speaker = (Speaker.CUSTOMER, Speaker.AGENT)[channel]
            truth = [t.text for t in recording.turns if recording.channel_count == 1 or t.speaker is speaker]
            words = [u.text for u in heard.utterances if u.channel == channel]
            reference = _WORD.findall(" ".join(truth).lower())
            errors += word_errors(reference, _WORD.findall(" ".join(words).lower()))
            count += len(reference)
        print(f"{recording.name}: {errors / count:.1%} of {count} words")
        wrong, said = wrong + errors, said + count
    print(f"all: {wrong / said:.1%} of {said} words")


def word_errors(reference: list[str], heard: list[str]) -> int:
    """Words to substitute, insert or delete to make the one into the other (Levenshtein)."""
    before = list(range(len(heard) + 1))
    for row, word in enumerate(reference, 1):
        now = [row]
        for column, other in enumerate(heard, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (word != other)))
        before = now
    return before[-1]


if __name__ == "__main__":
    main()
