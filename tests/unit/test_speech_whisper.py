"""The rules that both local Whisper engines share: one load per process, no text over silence, no loops."""

import os
import threading

import pytest

from calls.errors import EngineMisconfigured, TransientError
from calls.transcript import Word
from engines.speech_pieces import Piece, Stretch
from engines.speech_whisper import (
    OncePerProcess,
    WhisperSegment,
    check_language,
    memory_errors_translated,
    place_segments,
    prompt_of,
)

PIECE = Piece((Stretch(0, 10.0, 14.0), Stretch(0, 20.0, 24.0)))


def segment(
    start_s: float, end_s: float, text: str, *, logprob: float = -0.2, no_speech: float = 0.0, timed: bool = True
) -> WhisperSegment:
    said = text.split()
    step_s = (end_s - start_s) / max(1, len(said))
    words = [
        Word(f" {word}", start_s + index * step_s, start_s + (index + 1) * step_s, 0.9)
        for index, word in enumerate(said)
    ]
    return WhisperSegment(start_s, end_s, text, tuple(words) if timed else (), logprob, no_speech)


def test_a_segment_over_a_pause_becomes_an_utterance_on_either_side() -> None:
    placed = place_segments(PIECE, [segment(3.0, 5.0, "Before it. After it.")])
    assert [(said.text, said.start_s) for said in placed] == [("Before it.", 13.0), ("After it.", 20.0)]


@pytest.mark.parametrize(("logprob", "no_speech", "count"), [(-1.4, 0.9, 0), (-1.4, 0.1, 1), (-0.2, 0.9, 1)])
def test_only_text_that_is_unlikely_and_over_silence_is_dropped(logprob: float, no_speech: float, count: int) -> None:
    said = segment(0.0, 1.0, "Thanks for watching!", logprob=logprob, no_speech=no_speech)
    assert len(place_segments(PIECE, [said])) == count


@pytest.mark.parametrize("timed", [True, False])
def test_a_loop_within_a_window_is_kept_once(timed: bool) -> None:
    (said,) = place_segments(PIECE, [segment(0.0, 3.5, "Well, " + "I see. " * 20, timed=timed)])
    assert said.text == "Well, I see."


def test_without_word_times_the_segments_times_and_confidence_count() -> None:
    (said,) = place_segments(PIECE, [segment(1.0, 2.0, "Hello.", logprob=-0.1, timed=False)])
    assert (said.start_s, said.end_s, said.words) == (11.0, 12.0, ())
    assert said.avg_confidence == pytest.approx(0.905, abs=0.001)


def test_a_model_is_loaded_once_for_all_threads_and_not_before_its_first_use() -> None:
    loads: list[int] = []
    model = OncePerProcess(lambda: loads.append(1) or object())
    assert loads == []
    got: list[object] = []

    def use() -> None:
        with model.use() as loaded:
            got.append(loaded)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]
    assert len(set(map(id, got))) == 1


def test_a_forked_process_loads_a_model_of_its_own() -> None:
    model = OncePerProcess(os.getpid)
    with model.use() as loaded:
        assert loaded == os.getpid()
        # Forked off while the parent is at work: the parent's lock must not be the child's.
        child = os.fork()
        if child == 0:
            with model.use() as loaded_there:
                os._exit(0 if loaded_there == os.getpid() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_failed_load_is_tried_again() -> None:
    outcomes = iter([EngineMisconfigured("no model"), "model"])

    def load() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, EngineMisconfigured):
            raise outcome
        return outcome

    model = OncePerProcess(load)
    with pytest.raises(EngineMisconfigured), model.use():
        pass
    with model.use() as loaded:
        assert loaded == "model"


@pytest.mark.parametrize("error", [RuntimeError("CUDA failed with error out of memory"), MemoryError()])
def test_too_little_memory_is_a_passing_failure(error: Exception) -> None:
    with pytest.raises(TransientError) as failure, memory_errors_translated():
        raise error
    assert failure.value.code == "out_of_memory"


def test_another_runtime_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="a bug"), memory_errors_translated():
        raise RuntimeError("a bug")


def test_an_unknown_language_names_its_setting() -> None:
    check_language(None, ["en"])
    check_language("en", ["en"])
    with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__LANGUAGE"):
        check_language("tlh", ["en"])


def test_the_owners_words_become_a_prompt() -> None:
    assert prompt_of(("Aquaflow", "Harbour & Pine")) == "Glossary: Aquaflow, Harbour & Pine."
    assert prompt_of(()) is None
