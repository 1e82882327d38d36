"""Presidio's pattern recognisers beside our own rules: the ids of more countries (extra `presidio`).

Nothing is downloaded. Presidio's default engine fetches a spaCy model, and its recognisers of e-mails and addresses of
pages a list of domain suffixes: here spaCy's blank pipeline cuts words, and those two recognisers are left out. Names
are therefore not recognised.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer import predefined_recognizers as predefined
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from spacy.tokens import Doc

from calls.redaction import Finding, find_sensitive, without_overlap
from calls.redaction_contexts import asked_before

# The recognisers read every text, whatever their country: a call centre's language says little of its callers' papers.
_LANGUAGE = "en"
# By Presidio's word for what it finds, ours. What is no person's (a company's register, a number plate), or is found
# by too common a word ("us", "check"), is left out.
_MARKS = {
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "CRYPTO": "ACCOUNT",
    "ABA_ROUTING_NUMBER": "ACCOUNT",
    "US_SSN": "SSN",
}
_MARKS |= dict.fromkeys(("CA_POSTAL_CODE", "UK_POSTCODE", "DE_PLZ"), "ADDRESS")
_MARKS |= dict.fromkeys(
    (
        "AU_MEDICARE", "AU_TFN", "CA_SIN", "DE_FUEHRERSCHEIN", "DE_HEALTH_INSURANCE", "DE_ID_CARD", "DE_PASSPORT",
        "DE_SOCIAL_SECURITY", "DE_TAX_ID", "DE_TAX_NUMBER", "ES_NIE", "ES_NIF", "ES_PASSPORT",
        "FI_PERSONAL_IDENTITY_CODE", "IN_AADHAAR", "IN_PAN", "IN_PASSPORT", "IN_VOTER", "IT_DRIVER_LICENSE",
        "IT_FISCAL_CODE", "IT_IDENTITY_CARD", "IT_PASSPORT", "KR_DRIVER_LICENSE", "KR_FRN", "KR_PASSPORT", "KR_RRN",
        "MEDICAL_LICENSE", "NG_NIN", "PH_PASSPORT", "PH_TIN", "PH_UMID", "PL_PESEL", "SE_PERSONNUMMER", "SG_NRIC_FIN",
        "TH_TNIN", "TR_NATIONAL_ID", "UK_DRIVING_LICENCE", "UK_NHS", "UK_NINO", "UK_PASSPORT",
        "US_HEALTH_INSURANCE_MEMBER_ID", "US_ITIN", "US_DRIVER_LICENSE", "US_MBI", "ZA_DRIVER_LICENSE", "ZA_ID_NUMBER",
        "ZA_INCOME_TAX_NUMBER", "ZA_PASSPORT", "ZA_TRAFFIC_REGISTER_NUMBER",
    ),
    "NATIONAL_ID",
)  # fmt: skip
# Numbers of these have a check of their own that others pass too rarely to matter.
_CHECKED = frozenset({"CREDIT_CARD", "IBAN_CODE", "CRYPTO"})
_CERTAIN = 1.0
# What a name of several words has at most ("social insurance number").
_LONGEST_NAME = 3


class _BlankPipeline(SpacyNlpEngine):  # type: ignore[misc]  # spaCy and Presidio are untyped here: an extra
    """Cuts words; each is its own lemma, as the comparison with a recogniser's words of context needs it."""

    def load(self) -> None:
        self.nlp = {_LANGUAGE: spacy.blank(_LANGUAGE)}

    def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> NlpArtifacts:
        for token in doc:
            token.lemma_ = token.lower_
        return super()._doc_to_nlp_artifact(doc, language)


class PresidioFinder:
    """What our own rules find and what Presidio's recognisers find, together."""

    def __init__(self) -> None:
        registry = RecognizerRegistry(recognizers=list(_recognizers()), supported_languages=[_LANGUAGE])
        pipeline = _BlankPipeline(models=[{"lang_code": _LANGUAGE, "model_name": "blank"}])
        pipeline.load()
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=pipeline,
            supported_languages=[_LANGUAGE],
            context_aware_enhancer=LemmaContextAwareEnhancer(context_matching_mode="whole_word"),
        )

    def __call__(self, texts: Sequence[str], speakers: Sequence[str] | None = None) -> list[list[Finding]]:
        """What must not leave, per text, in order and without overlap; `speakers` says who says each."""
        own = find_sensitive(texts, speakers)
        more = [list(self._found(text, asked_before(texts, index))) for index, text in enumerate(texts)]
        return [without_overlap([*ours, *theirs]) for ours, theirs in zip(own, more, strict=True)]

    def _found(self, text: str, asked: str) -> Iterator[Finding]:
        names = _names(f"{asked} {text}")
        for result in self._analyzer.analyze(text, _LANGUAGE, context=names, return_decision_process=True):
            if _is_sure(result, text):
                yield Finding(result.start, result.end, _MARKS[result.entity_type])


def _recognizers() -> Iterator[PatternRecognizer]:
    kinds: list[tuple[str, Any]] = inspect.getmembers(predefined, inspect.isclass)
    for _, kind in kinds:
        if issubclass(kind, PatternRecognizer) and kind is not PatternRecognizer:
            recognizer = kind(supported_language=_LANGUAGE)
            if set(recognizer.supported_entities) <= _MARKS.keys():
                yield recognizer


def _is_sure(result: RecognizerResult, text: str) -> bool:
    """Whether a word says what it is, or a check holds that figures alone would not pass by chance."""
    if result.analysis_explanation.supportive_context_word:
        return True
    has_letters = any(sign.isalpha() for sign in text[result.start : result.end])
    return result.score >= _CERTAIN and (has_letters or result.entity_type in _CHECKED)


def _names(text: str) -> list[str]:
    """The names that may say what a number is, which Presidio compares one by one: pairs and triples of words."""
    words = text.lower().split()
    several = range(2, _LONGEST_NAME + 1)
    return list(chain.from_iterable(_runs(words, count) for count in several))


def _runs(words: Sequence[str], count: int) -> Iterator[str]:
    return (" ".join(words[at : at + count]).strip(" ,.?:!") for at in range(len(words) - count + 1))
