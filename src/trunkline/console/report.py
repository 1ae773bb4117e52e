"""The offline report of one call: a page that needs no network, and its picture alone.

Whatever comes from a call (words, labels, names, paths) is text and stays text: Jinja2 escapes all
of it, `_plain` takes out what XML cannot hold, and the page's Content-Security-Policy runs no
script but ours, known by its hash.
"""

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from trunkline.console import layout
from trunkline.console.picture import CallPicture, TurnFigures
from trunkline.console.typeset import text_px
from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE

TAPE_S_MAX = 1800.0  # 14 MB of mu-law: more would make a page that nobody can open
COLOURS = 6  # endpoints that have a colour of their own (see timeline.css)
WIDTH_MIN, WIDTH_MAX = 480, 4000
_HEADER_PX = 182.0
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the verdict. *good*: None if it is neither good nor bad."""

    value: str
    unit: str
    about: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    """One entry of the legend."""

    text: str
    kind: str
    colour: int | None
    x: float


@dataclass(frozen=True, slots=True)
class _Segment:
    """A part of a turn's waterfall, in percent of the widest turn."""

    kind: str
    left: float
    width: float


def render_html(picture: CallPicture) -> str:
    """One self-contained page: verdict, tape with playhead, picture, turns, words and files."""
    script = _ENVIRONMENT.get_template("playhead.js").render()
    longest = max((turn.audio_s or 0.0 for turn in picture.turns), default=0.0)
    return _ENVIRONMENT.get_template("report.html.j2").render(
        picture=picture,
        figures=figures(picture),
        timeline=Markup(_timeline(picture, 1080, header=False)),  # noqa: S704  # escaped inside
        tape=_tape(picture),
        tape_minutes_max=round(TAPE_S_MAX / 60),
        script=Markup(script),  # noqa: S704  # a file of ours
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        waterfalls=[(turn, _segments(turn, longest)) for turn in picture.turns],
        spoken=_spoken(picture),
        colour=_colours(picture),
    )


def render_svg(picture: CallPicture, width: int = 1000) -> str:
    """The picture alone, *width* pixels wide, with title and verdict; light and dark by itself."""
    if not WIDTH_MIN <= width <= WIDTH_MAX:
        raise InputError(f"width is {width}. Give {WIDTH_MIN} to {WIDTH_MAX} pixels")
    return _timeline(picture, width, header=True)


def figures(picture: CallPicture) -> Sequence[Figure]:
    """The verdict in five numbers."""
    of = picture.verdict
    v2v = ("–", "") if of.v2v_p50_s is None else (f"{of.v2v_p50_s:.2f}", "s")
    return (
        Figure(str(of.failovers), "", "failover" if of.failovers == 1 else "failovers"),
        Figure(
            f"{of.dead_air_max_s:.2f}",
            "s",
            "dead air, at most",
            round(of.dead_air_max_s, 2) <= 0,
        ),
        Figure(str(of.items_lost), "", "items lost", of.items_lost == 0),
        Figure(str(of.items_repeated), "", "items repeated", of.items_repeated == 0),
        Figure(*v2v, "voice to voice, median"),
    )


def _timeline(picture: CallPicture, width: int, *, header: bool) -> str:
    placed = layout.place(picture, float(width), _HEADER_PX if header else 46.0)
    return _ENVIRONMENT.get_template("timeline.svg.j2").render(
        picture=picture,
        placed=placed,
        figures=figures(picture),
        header=header,
        legend=_legend(picture),
        colour=_colours(picture),
        px=layout,
        title=layout.fitting(picture.title, width - 2 * layout.MARGIN, 20.0),
        subtitle=layout.fitting(picture.subtitle, width - 2 * layout.MARGIN, 13.0),
        figure_pitch=(width - 2 * layout.MARGIN) / len(figures(picture)),
    )


def _colours(picture: CallPicture) -> dict[str, int]:
    return {name: n % COLOURS for n, name in enumerate(picture.endpoints)}


def _legend(picture: CallPicture) -> Sequence[_Key]:
    entries: list[tuple[str, str, int | None]] = [("caller", "you", None)]
    if any(not said.endpoint for said in picture.agent_said):
        entries.append(("agent, fixed words", "own", None))
    entries += [(f"agent, words by {n}", "voice", c) for n, c in _colours(picture).items()]
    if any(attempt.silent_s is not None for attempt in picture.attempts):
        entries.append(("model owes a token", "silent", None))
    if picture.turns:
        entries.append(("voice to voice", "response", None))
    keys, x = [], layout.MARGIN
    for text, kind, colour in entries:
        keys.append(_Key(text, kind, colour, x))
        x += 22 + text_px(text, 11.5) + 18
    return keys


def _segments(turn: TurnFigures, longest: float) -> Sequence[_Segment]:
    """The waits of one turn, each from the end of the one before."""
    found, since = [], 0.0
    for kind in ("transcript", "token", "audio"):
        until: float | None = getattr(turn, f"{kind}_s")
        if until is not None and until > since and longest > 0:
            found.append(_Segment(kind, 100 * since / longest, 100 * (until - since) / longest))
            since = until
    return found


def _spoken(picture: CallPicture) -> Sequence[tuple[float, str, str, str]]:
    """(when, who, endpoint, words) of both voices in the order of time: the picture as text."""
    said = [(s.start_s, "Caller", "", s.text) for s in picture.caller_said]
    said += [(s.start_s, "Agent", s.endpoint, s.text) for s in picture.agent_said]
    joined: list[tuple[float, str, str, str]] = []
    for at_s, who, endpoint, text in sorted(said, key=lambda s: s[0]):
        if joined and joined[-1][1:3] == (who, endpoint):
            joined[-1] = (*joined[-1][:3], f"{joined[-1][3]} {text}")
        else:
            joined.append((at_s, who, endpoint, text))
    return joined


def _tape(picture: CallPicture) -> str:
    """Both voices mixed, as a data URI of a mu-law WAV; "" if there is nothing, or too much."""
    length = max(picture.caller.size, picture.agent.size)
    if not 0 < length <= TAPE_S_MAX * SAMPLE_RATE:
        return ""
    mixed = np.zeros(length, np.int32)
    mixed[: picture.caller.size] += picture.caller
    mixed[: picture.agent.size] += picture.agent
    wav = io.BytesIO()
    pcm = np.clip(mixed, -32768, 32767).astype(np.int16)
    soundfile.write(wav, pcm, SAMPLE_RATE, format="WAV", subtype="ULAW")
    return "data:audio/wav;base64," + base64.b64encode(wav.getvalue()).decode()


def _plain(value: object) -> object:
    """What a template prints: short numbers, and text without signs that XML cannot hold."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    if isinstance(value, str) and not isinstance(value, Markup):
        return _ILLEGAL.sub("\ufffd", value)
    return value


def _clock(at_s: float) -> str:
    return f"{int(at_s) // 60}:{at_s % 60:04.1f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _link(path: str) -> str:
    """*path* as a relative link: a colon is quoted, so it can never become a scheme."""
    return "./" + quote(path.replace("\\", "/").lstrip("/"), errors="replace")


_ENVIRONMENT = Environment(
    loader=PackageLoader("trunkline.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_plain,
)
_ENVIRONMENT.filters |= {"clock": _clock, "seconds": _seconds, "link": _link}
