"""The report of a call: what is shown where, nothing covers anything, and text is text."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from trunkline.console.layout import ROW_S_MAX, Row, place
from trunkline.console.picture import (
    Attempted,
    CallPicture,
    Moment,
    NamedFile,
    Said,
    Samples,
    TurnFigures,
    Verdict,
    waveform,
)
from trunkline.console.report import TAPE_S_MAX, render_html, render_svg
from trunkline.console.typeset import Box, text_px
from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE

PLANTED = '</text></svg><script>alert("x")</script><img src=x onerror=alert(1)>'


def speech(duration_s: float, *spans: tuple[float, float]) -> Samples:
    """A hum during *spans*, digital silence elsewhere."""
    pcm = np.zeros(int(duration_s * SAMPLE_RATE), np.int16)
    for start_s, end_s in spans:
        at = np.arange(int(start_s * SAMPLE_RATE), int(end_s * SAMPLE_RATE))
        pcm[at] = (9000 * np.sin(at)).astype(np.int16)
    return pcm


def call(**changes: Any) -> CallPicture:
    """A call of 36 s whose primary model freezes at 24 s while its audio plays on."""
    picture = CallPicture(
        title="The primary freezes",
        subtitle="Receptionist",
        duration_s=36.0,
        caller=speech(36, (12, 14)),
        agent=speech(36, (1, 3), (20, 25), (25, 30)),
        caller_said=(Said("When can I come in?", 12, 14),),
        agent_said=(
            Said("Thanks for calling.", 1, 3),
            Said("I can offer nine fifteen,", 20, 25, "primary"),
            Said("or half past two on Friday.", 25, 30, "backup"),
        ),
        verdict=Verdict(1, 0.0, 0, 0, 0.42),
        moments=(
            Moment("freeze", 24.0, "primary frozen", "primary"),
            Moment("failover", 24.6, "backup takes over", "backup"),
        ),
        attempts=(
            Attempted("primary", 14.3, 24.6, silent_s=24.0),
            Attempted("backup", 24.3, 25.5),
        ),
        queue=((0, 0), (20, 3.0), (23, 0.5), (30, 0)),
        turns=(TurnFigures(14.0, 0.2, 0.4, 6.0, 0.13, ("primary", "backup")),),
        files=(NamedFile("tape.wav", "what the caller heard"),),
    )
    return replace(picture, **changes)


def drawn(picture: CallPicture, width: int = 1000) -> ElementTree.Element:
    """The standalone picture, parsed."""
    return ElementTree.fromstring(render_svg(picture, width))  # noqa: S314  # our own output


def texts(svg: ElementTree.Element) -> list[str]:
    """All text that the picture shows."""
    return ["".join(e.itertext()) for e in svg.iter("{http://www.w3.org/2000/svg}text")]


class Page(HTMLParser):
    """What a browser makes of the page: its elements, attributes and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in_script = False
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._in_script = tag == "script"

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    @override
    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)
        else:
            self.text += data

    def value(self, name: str, starts: str = "") -> str:
        """The one attribute *name* whose value begins with *starts*."""
        (found,) = [v for n, v in self.attributes if n == name and v.startswith(starts)]
        return found


def everywhere(text: str) -> CallPicture:
    """A call that says *text* in every place that takes text."""
    return call(
        title=text,
        subtitle=text,
        caller_said=(Said(text, 12, 14, ""),),
        agent_said=(Said(text, 20, 25, text), Said(text, 25, 30, "backup")),
        moments=(Moment("freeze", 24, text, text), Moment("failover", 24.6, text, text)),
        attempts=(Attempted(text, 14.3, 24.6, silent_s=24.0),),
        turns=(TurnFigures(14.0, 0.2, 0.4, 6.0, 0.13, (text, text)),),
        files=(NamedFile(text, text),),
    )


def test_what_a_call_says_never_becomes_markup_in_the_page() -> None:
    """Planted in every field, a script is shown and not run: the page has one script, ours."""
    page, clean = Page(render_html(everywhere(PLANTED))), Page(render_html(everywhere("hello")))
    assert set(page.tags) == set(clean.tags)
    assert page.tags.count("script") == 1
    assert "alert" not in "".join(page.scripts)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert PLANTED in page.text


def test_what_a_call_says_never_becomes_markup_in_the_picture() -> None:
    """The picture stays well-formed, and the planted text is text."""
    svg = drawn(everywhere(PLANTED))
    assert {e.tag for e in svg.iter()} == {e.tag for e in drawn(everywhere("hello")).iter()}
    assert svg.findtext("{http://www.w3.org/2000/svg}title") == PLANTED


def test_signs_that_xml_cannot_hold_are_replaced() -> None:
    """A recogniser's control characters do not break the picture."""
    svg = drawn(everywhere("a\x00b\x1b\ud800\uffff"))
    assert svg.findtext("{http://www.w3.org/2000/svg}title") == "a\ufffdb\ufffd\ufffd\ufffd"
    render_html(everywhere("a\x00b\x1b\ud800\uffff")).encode()


def test_only_our_script_may_run() -> None:
    """The policy of the page names the script by its hash, and nothing may be fetched."""
    page = Page(render_html(call()))
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    policy = page.value("content", "default-src")
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_page_needs_no_network() -> None:
    """Every address in the page is inside it or beside it."""
    page = Page(render_html(call()))
    addresses = [v for n, v in page.attributes if n in ("src", "href", "xlink:href", "action")]
    assert addresses
    assert all(a.startswith(("data:audio/wav;", "./")) for a in addresses)
    assert not re.findall(r"url\((?!#)", render_html(call()))
    assert "@import" not in render_html(call())


def test_a_file_is_a_link_beside_the_report_and_never_a_scheme() -> None:
    """A path that looks like a script address is still a path."""
    page = Page(render_html(call(files=(NamedFile("javascript:alert(1)", ""),))))
    assert page.value("href") == "./javascript%3Aalert%281%29"


def test_the_tape_in_the_page_is_the_call() -> None:
    """Both voices, mixed, at their times; mu-law is within 4 % of the sample."""
    picture = call()
    uri = Page(render_html(picture)).value("src")
    wav = io.BytesIO(base64.b64decode(uri.partition(",")[2]))
    pcm, rate = soundfile.read(wav, dtype="int16")
    mixed = picture.caller.astype(float) + picture.agent
    assert rate == SAMPLE_RATE
    assert pcm.shape == mixed.shape
    assert np.all(np.abs(pcm - mixed) <= np.abs(mixed) * 0.04 + 8)


@pytest.mark.parametrize("samples", [0, int(TAPE_S_MAX * SAMPLE_RATE) + 1])
def test_without_a_tape_the_page_says_so(samples: int) -> None:
    """No recording, or one that no page should hold: a sentence stands where the player would."""
    empty = np.zeros(samples, np.int16)
    page = Page(render_html(call(caller=empty, agent=empty)))
    assert "audio" not in page.tags
    assert "script" not in page.tags
    assert "No tape in this page" in page.text


def test_every_label_and_every_word_is_in_the_picture() -> None:
    """What happened, what was said, by whom, and the verdict."""
    shown = " ".join(texts(drawn(call())))
    for text in ("primary frozen", "backup takes over", "agent, words by backup", "6.00 s"):
        assert text in shown
    assert "0.60 s to notice and take over" in shown
    for said in (*call().caller_said, *call().agent_said):
        for word in said.text.split():
            assert word in shown


def test_the_freeze_and_the_takeover_stand_at_their_times() -> None:
    """Their lines hang where the time axis has them, in the row of their time."""
    placed = place(call(), 1000)
    assert [row.start_s for row in placed.rows] == [0, 18]
    freeze, failover = placed.rows[1].pills
    assert freeze.line_x == pytest.approx(placed.x0 + 6.0 * placed.px_s, abs=0.1)
    assert failover.line_x - freeze.line_x == pytest.approx(0.6 * placed.px_s, abs=0.2)
    assert placed.rows[0].pills == ()
    (takeover,) = [b for b in placed.rows[1].brackets if b.kind == "takeover"]
    assert (takeover.x1, takeover.x2) == (freeze.line_x, failover.line_x)


def test_audio_has_the_colour_of_the_endpoint_whose_words_it_is() -> None:
    """The bars change hands where the words do, not where the failover was decided."""
    placed = place(call(), 1000)

    def seconds(endpoint: str) -> tuple[float, float]:
        xs = [int(x) for x in re.findall(r"M(\d+)", placed.rows[1].agent_paths[endpoint])]
        return 18 + (min(xs) - placed.x0) / placed.px_s, 18 + (max(xs) - placed.x0) / placed.px_s

    assert seconds("primary") == pytest.approx((20, 25), abs=0.1)
    assert seconds("backup") == pytest.approx((25, 30), abs=0.1)
    assert set(placed.rows[0].agent_paths) == {""}


def test_a_silent_attempt_shows_since_when_and_that_it_broke() -> None:
    """Working until 24.0 s, owing a token until 24.6 s; the backup's bar is whole."""
    placed = place(call(), 1000)
    primary, backup = placed.rows[1].bars
    assert primary.x1 == placed.x0  # it began in the row before
    assert primary.silent_x == pytest.approx(placed.x0 + 6.0 * placed.px_s, abs=0.1)
    assert primary.x2 == pytest.approx(placed.x0 + 6.6 * placed.px_s, abs=0.1)
    assert (primary.broke, backup.broke) == (True, False)
    assert backup.silent_x == backup.x2
    assert placed.rows[0].bars[0].broke is False


def test_silence_draws_nothing() -> None:
    """A dead line is a line, not a band of noise."""
    low, high = waveform(speech(4, (1, 2)), columns=4, column_s=1.0)
    assert list(high > 0.9) == [False, True, False, False]
    assert list(low) == pytest.approx([0, -1, 0, 0], abs=0.1)
    quiet = call(caller=speech(36), agent=speech(36))
    assert all(not row.caller_path and not row.agent_paths for row in place(quiet, 1000).rows)


def test_the_queue_is_drawn_to_scale() -> None:
    """Q is 3 s at its peak at 20 s, and the peak says so."""
    placed = place(call(), 1000)
    peak = placed.rows[1].queue_peak
    assert peak is not None
    assert peak.text == "3.0 s"
    assert peak.x == pytest.approx(placed.x0 + 2.0 * placed.px_s, abs=2)
    assert place(call(queue=()), 1000).rows[1].queue_path == ""


def test_the_turns_are_a_table_of_waits() -> None:
    """Every figure is there as a number; the bars add up to the whole wait."""
    page = render_html(call(turns=(*call().turns, TurnFigures(30, None, None, None, 0, ()))))
    text = Page(page).text
    for figure in ("0.20 s", "0.40 s", "6.00 s", "0.13 s", "–"):
        assert figure in text
    widths = [float(w) for w in re.findall(r"left:[\d.]+%;width:([\d.]+)%", page)]
    assert sum(widths) == pytest.approx(100, abs=0.2)
    assert len(widths) == 3


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (Verdict(0, 0.0, 0, 0, None), ["0 failovers", "0.00 s longest dead air", "– voice to"]),
        (Verdict(1, 1.5, 2, 3, 0.4), ["1 failover ", "1.50 s", "2 items lost", "3 items rep"]),
    ],
)
def test_the_verdict_is_told_as_it_is(verdict: Verdict, shown: list[str]) -> None:
    """A failure is not painted green, and what was not measured is not a number."""
    svg = drawn(call(verdict=verdict))
    said = " ".join(texts(svg))
    for text in shown:
        assert text in said
    good = [e for e in svg.iter() if "good" in e.get("class", "")]
    bad = [e for e in svg.iter() if "bad" in e.get("class", "")]
    assert (len(good), len(bad)) == ((3, 0) if verdict.items_lost == 0 else (0, 3))


def test_a_long_call_wraps_and_stays_small() -> None:
    """Half an hour of talk: rows of at most 20 s, each word once, a picture under 400 kB."""
    said = tuple(
        Said("so this is what was said then", t, t + 4, "primary") for t in range(0, 1800, 5)
    )
    noise = np.random.default_rng(1).integers(-9000, 9000, 1800 * SAMPLE_RATE).astype(np.int16)
    picture = call(duration_s=1800.0, caller=noise, agent=noise, agent_said=said, queue=())
    placed = place(picture, 1000)
    assert placed.row_s <= ROW_S_MAX
    words = [w for r in placed.rows for p in r.paragraphs for line in p.lines for w in line.split()]
    assert words.count("said") == len(said)
    assert len(render_svg(picture)) < 400_000


def test_the_picture_of_a_minute_is_small_enough_for_a_page_of_text() -> None:
    """Under 150 kB with both voices talking all the time."""
    noise = np.random.default_rng(1).integers(-9000, 9000, 60 * SAMPLE_RATE).astype(np.int16)
    assert len(render_svg(call(duration_s=60.0, caller=noise, agent=noise)).encode()) < 150_000


def boxes_in(row: Row) -> list[Box]:
    """The boxes of all running text and all flags of a row."""
    return [*(said.box for said in row.paragraphs), *(pill.box for pill in row.pills)]


def boxes_meet(picture: CallPicture, width: float) -> list[tuple[object, object]]:
    """Pairs of texts in the picture that cover each other."""
    met: list[tuple[object, object]] = []
    for row in place(picture, width).rows:
        boxes = boxes_in(row)
        met += [(a, b) for a, b in combinations(boxes, 2) if a.meets(b)]
        ends = [(b.text_x, b.text_x + text_px(b.text, 10.5)) for b in row.brackets if b.text]
        met += [(a, b) for a, b in combinations(sorted(ends), 2) if b[0] < a[1]]
    return met


times = st.floats(0, 39, allow_nan=False)
words = st.text(st.characters(codec="utf-8"), max_size=120)
sayings = st.lists(
    st.tuples(times, st.floats(0, 6), words, st.sampled_from(["", "a", "b"])), max_size=12
).map(lambda raw: tuple(Said(t, s, s + d, e) for s, d, t, e in sorted(raw, key=lambda r: r[0])))


@settings(deadline=None, max_examples=60)
@given(
    caller=sayings,
    agent=sayings,
    at=st.lists(times, max_size=8).map(sorted),
    width=st.integers(480, 1400),
)
def test_text_never_covers_text_and_stays_in_its_picture(
    caller: tuple[Said, ...], agent: tuple[Said, ...], at: list[float], width: int
) -> None:
    """Whatever is said and happens, however fast and long, it can be read."""
    moments = tuple(
        Moment("freeze" if n % 2 else "failover", t, f"event {n} " * (n + 1), "a")
        for n, t in enumerate(at)
    )
    turns = tuple(TurnFigures(t, None, None, 0.4, 0, ()) for t in at)
    picture = call(
        duration_s=40.0, caller_said=caller, agent_said=agent, moments=moments, turns=turns
    )
    assert boxes_meet(picture, width) == []
    for row in place(picture, width).rows:
        for box in boxes_in(row):
            assert box.x >= 0
            assert box.x + box.w <= width
    ElementTree.fromstring(render_svg(picture, width))  # noqa: S314  # our own output


@pytest.mark.parametrize("duration_s", [0.02, 8.0, 19.99, 20.0, 20.01, 40.2, 61.0])
def test_every_length_of_call_has_its_rows(duration_s: float) -> None:
    """The rows cover the call, and none is empty."""
    placed = place(call(duration_s=duration_s), 900)
    assert placed.rows[-1].start_s < duration_s <= placed.rows[-1].start_s + placed.row_s
    assert placed.row_s <= ROW_S_MAX


def test_words_that_overrun_the_call_are_shown_at_its_end() -> None:
    """A transcript that ends a little late loses nothing."""
    late = call(caller_said=(Said("Bye now", 36.1, 36.5),))
    assert "Bye now" in texts(drawn(late))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"caller": np.zeros(8)}, "caller is float64"),
        ({"agent": np.zeros((2, 8), np.int16)}, "agent is int16"),
        ({"caller_said": (Said("b", 2, 3), Said("a", 1, 2))}, "caller_said is not in the order"),
        ({"agent_said": (Said("a", 2, 1),)}, "ends before it starts"),
        ({"agent_said": (Said("a", 2, float("inf")),)}, "ends before it starts"),
        ({"queue": ((1.0, 1.0), (0.5, 1.0))}, "queue is not in the order"),
        ({"moments": (Moment("freeze", -1, "", ""),)}, "moments has a time before"),
        ({"attempts": (Attempted("a", 2, float("nan")),)}, "ends before it starts"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], says: str) -> None:
    """A picture that would lie is not drawn."""
    with pytest.raises(InputError, match=re.escape(says)):
        call(**changes)


@pytest.mark.parametrize("width", [479, 4001])
def test_a_width_that_cannot_be_read_is_refused(width: int) -> None:
    """The bounds are told."""
    with pytest.raises(InputError, match="480 to 4000"):
        render_svg(call(), width)
