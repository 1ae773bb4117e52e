"""An entity model of your own: what finds names and places better than a list of words.

Both adapters load a model that is installed where this runs, so no text leaves the zone. Each is an
extra of its own: `pip install 'trunkline[presidio]'` or `'trunkline[gliner]'`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from trunkline.errors import InputError
from trunkline.privacy.spans import Kind

SCORE_MIN: Final = 0.4
LABELS: Final[Mapping[str, Kind]] = {
    # Presidio's and GLiNER's names of what is ours.
    **dict.fromkeys(("PERSON", "PER", "person", "name"), Kind.NAME),
    **dict.fromkeys(("LOCATION", "LOC", "GPE", "address", "location", "city"), Kind.ADDRESS),
    **dict.fromkeys(("PHONE_NUMBER", "phone number"), Kind.PHONE),
    **dict.fromkeys(("EMAIL_ADDRESS", "email"), Kind.EMAIL),
    **dict.fromkeys(("CREDIT_CARD", "credit card number"), Kind.CARD),
    **dict.fromkeys(("US_SSN", "UK_NHS", "US_ITIN", "US_PASSPORT"), Kind.NATIONAL_ID),
    **dict.fromkeys(("IBAN_CODE", "US_BANK_NUMBER"), Kind.ACCOUNT),
    **dict.fromkeys(("US_DRIVER_LICENSE", "MEDICAL_LICENSE"), Kind.RECORD_ID),
    "URL": Kind.URL,
}


@dataclass(frozen=True, slots=True)
class Entity:
    """Characters `start:end` are *kind*, as sure as *score* (0 to 1)."""

    start: int
    end: int
    kind: Kind
    score: float


class EntityModel(Protocol):
    """Finds entities; *name* and its version go into the journal with each redaction."""

    @property
    def name(self) -> str:
        """Model and version, without blanks."""
        ...

    def entities(self, text: str, /) -> Sequence[Entity]:
        """What *text* holds, in any order."""
        ...


class Presidio:
    """Presidio's analyzer with its own configuration of models.

    *configuration*: a file of `AnalyzerEngineProvider` (it names the spaCy or transformers model,
    which must be installed). Raises `InputError` if the package is missing.
    """

    def __init__(self, configuration: str, language: str = "en") -> None:
        provider = _imported("presidio_analyzer", "presidio").AnalyzerEngineProvider
        self._engine: Any = provider(analyzer_engine_conf_file=configuration).create_engine()
        self._language = language

    @property
    def name(self) -> str:
        """Which model found it."""
        return "presidio"

    def entities(self, text: str, /) -> list[Entity]:
        """Presidio's results for *text*, of the kinds that are ours."""
        found = self._engine.analyze(text=text, language=self._language)
        return [
            Entity(it.start, it.end, LABELS[it.entity_type], it.score)
            for it in found
            if it.entity_type in LABELS
        ]


class Gliner:
    """A GLiNER model from the folder *path*; nothing is fetched.

    Raises `InputError` if the package is missing.
    """

    def __init__(self, path: str, labels: Sequence[str] = ("person", "address", "city")) -> None:
        unknown = [label for label in labels if label not in LABELS]
        if unknown:
            raise InputError(f"GLiNER label {unknown[0]!r} is none of {', '.join(sorted(LABELS))}")
        model = _imported("gliner", "gliner").GLiNER
        self._model: Any = model.from_pretrained(path, local_files_only=True)
        self._labels = list(labels)

    @property
    def name(self) -> str:
        """Which model found it."""
        return "gliner"

    def entities(self, text: str, /) -> list[Entity]:
        """The model's entities in *text*."""
        found = self._model.predict_entities(text, self._labels, threshold=SCORE_MIN)
        return [
            Entity(it["start"], it["end"], LABELS[it["label"]], float(it["score"])) for it in found
        ]


def _imported(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(
            f"the entity model needs the package {package!r}, which is not installed: "
            f"pip install 'trunkline[{extra}]'"
        ) from error
