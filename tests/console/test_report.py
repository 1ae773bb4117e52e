"""The report of a call: what is shown where, nothing covers anything, and text is text."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from typing_extensions import override

from tests.console.sample import call, drawn, texts
from trunkline.console.layout import place
from trunkline.console.picture import (
    Attempted,
    CallPicture,
    Moment,
    NamedFile,
    Said,
    TurnFigures,
    Verdict,
)
from trunkline.console.report import TAPE_S_MAX, render_html, render_svg
from trunkline.console.rows import ROW_S_MAX
from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE

PLANTED = '</text></svg><script>alert("x")</script><img src=x onerror=alert(1)>'


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
    assert "0.60 s from its last token to the takeover" in shown
    for said in (*call().caller_said, *call().agent_said):
        for word in said.text.split():
            assert word in shown


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
        (Verdict(0, 0.0, 0, 0, None), ["0 failovers", "0.00 s dead air, at most", "– voice to"]),
        (Verdict(0, 0.004, 0, 0, None), ["0.00 s dead air, at most"]),  # as green as it reads
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


@pytest.mark.parametrize("width", [479, 4001])
def test_a_width_that_cannot_be_read_is_refused(width: int) -> None:
    """The bounds are told."""
    with pytest.raises(InputError, match="480 to 4000"):
        render_svg(call(), width)
