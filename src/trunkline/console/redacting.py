"""`trunkline records show --redacted`: a copy of a call for who need not know whose it was."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trunkline.agent.practice import RIVERSIDE_DENTAL
from trunkline.config.load import load
from trunkline.errors import InputError
from trunkline.media import wav
from trunkline.privacy.detect import Rules, SpeechDetector
from trunkline.privacy.redact import Redaction
from trunkline.privacy.spans import Kind
from trunkline.privacy.utterance import RULES_VERSION
from trunkline.records.recording import transcript_markdown
from trunkline.records.redaction import Learner, Redacted, redacted
from trunkline.records.store import StoredCall

_TEXT: Final = "transcript.redacted.md"
_AUDIO: Final = "recording.redacted.wav"
_LIST: Final = "redactions.json"


def learner(region: str, config: Path | None) -> Learner:
    """Detectors for *region* to which the practices of *config* (or the one that ships) are no
    secret; `InputError` for a region that is none."""
    agents = [] if config is None else list(load(config).agents.values())
    practices = [it.practice or RIVERSIDE_DENTAL for it in agents] or [RIVERSIDE_DENTAL]
    own = tuple(path.read_text("utf-8") for path in practices)

    def learned(known: Mapping[Kind, Sequence[str]]) -> SpeechDetector:
        return SpeechDetector(Rules(region, agent=own, known=known))

    learned({})  # what is wrong with the region is said before a call is read
    return learned


def shown(stored: StoredCall, learn: Learner, to: Path | None) -> str:
    """The redacted record of a call for a person; its files, none of the clear ones, go into *to*.

    Raises `RecordError` if the journal is damaged, `InputError` if a clear copy lies in *to*.
    """
    copy = redacted(stored.events, learn)
    text = transcript_markdown(copy.transcript)
    told = [text, _summary(copy)]
    if to is None:
        return "\n".join(told)
    clear = [name for name in ("transcript.md", "recording.wav") if (to / name).exists()]
    if clear:
        raise InputError(f"{to / clear[0]} is not redacted: give --to another directory")
    to.mkdir(parents=True, exist_ok=True)
    (to / _TEXT).write_text(text, "utf-8")
    (to / _LIST).write_text(_listed(stored, copy), "utf-8")
    told.append(f"Transcript: {to / _TEXT}\nRedactions: {to / _LIST}")
    if len(copy.recording):
        wav.write_stereo(to / _AUDIO, copy.recording)
        told.append(f"Recording: {to / _AUDIO}")
    return "\n".join(told)


def _summary(copy: Redacted) -> str:
    counted = Counter(it.kind.value for it in copy.redactions)
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))
    return f"Redacted by rules {RULES_VERSION}: {kinds or 'nothing'}"


def _listed(stored: StoredCall, copy: Redacted) -> str:
    """What was taken out, as JSON: class, place, rule and version; never the value."""
    listed = {
        "call": stored.call,
        "rules_version": RULES_VERSION,
        "redactions": [_row(it) for it in copy.redactions],
    }
    return json.dumps(listed, indent=1) + "\n"


def _row(it: Redaction) -> dict[str, object]:
    rule, _, version = it.rule.partition("/")
    return {
        "class": it.kind.value,
        "speaker": it.speaker,
        "turn": it.turn,
        "characters": [it.start, it.end],
        "samples": None if it.silenced is None else [it.silenced.start, it.silenced.end],
        "rule": rule,
        "version": version,
    }
