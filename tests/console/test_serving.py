"""From a configuration to what the telephone side gets, and the journal that others watch."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from typing_extensions import override

from trunkline.config.load import load
from trunkline.config.models import Config
from trunkline.console.assembly import check_language
from trunkline.console.serving import Watched, telephony
from trunkline.contracts import Journal
from trunkline.errors import ConfigError, InputError
from trunkline.types import CallId, DataClass, Sample, Where

VARIABLE = "TRUNKLINE_TEST_TWILIO_TOKEN"
SHIPPED = Path(__file__).parents[2] / "trunkline.yaml"


def configured(**server: object) -> Config:
    """The configuration that ships, with other settings of the server."""
    config = load(SHIPPED)
    return config.model_copy(update={"server": config.server.model_copy(update=server)})


def test_the_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration names the variable only."""
    monkeypatch.setenv(VARIABLE, "s3cret")
    told = telephony(configured(twilio_auth_token_env=VARIABLE, calls_max=7, port=0))
    assert (told.auth_token, told.calls_max, told.port) == ("s3cret", 7, 0)
    assert telephony(configured(twilio_auth_token_env=None)).auth_token is None


@pytest.mark.parametrize("value", [None, ""])
def test_a_secret_that_is_not_there_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """An agent that anybody can call, because a variable was forgotten, must not come up."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match=rf"{VARIABLE}.*twilio_auth_token_env.*not set"):
        telephony(configured(twilio_auth_token_env=VARIABLE))


def test_a_language_in_which_no_model_can_go_on_stops_the_start() -> None:
    """Found out in the middle of a broken answer it would end the call."""
    config = load(SHIPPED)
    check_language(config, "receptionist", "tlh")  # prefixes need no words
    turns = {
        name: endpoint.model_copy(update={"continuation": "turn"})
        for name, endpoint in config.endpoints.items()
    }
    config = config.model_copy(update={"endpoints": turns})
    check_language(config, "receptionist", "en-GB")
    with pytest.raises(ConfigError, match=r"'primary' cannot be asked in 'tlh'.*Known are de, en"):
        check_language(config, "receptionist", "tlh")


class Kept(Journal):
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Mapping[str, object], Where, DataClass, str, object]] = []
        self.sounds: list[tuple[str, int, bytes]] = []
        self.commits: list[str] = []

    @override
    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        self.notes.append((type, data, where, data_class, zone, sample))

    @override
    def audio(self, channel: str, at: Sample, mulaw: bytes) -> None:
        self.sounds.append((channel, at, mulaw))

    @override
    async def commit(self) -> None:
        self.commits.append("commit")

    async def close(self, reason: str) -> None:
        """End it."""
        self.commits.append(reason)


async def test_a_watched_journal_keeps_everything_and_tells_most() -> None:
    """Requests are large and are not told; audio never is."""
    kept, told = Kept(), list[dict[str, object]]()
    journal = Watched(kept, told.append)
    here = Where(CallId("c"), 2, 1, 0)
    journal.note("dtmf", {"digit": "1"}, where=here, zone="z", sample=Sample(160))
    journal.note("attempt.request", {"request": {}}, where=here, data_class=DataClass.PROMPT)
    journal.audio("caller", Sample(0), b"\xff")
    await journal.commit()
    await journal.close("done")
    assert [note[0] for note in kept.notes] == ["dtmf", "attempt.request"]
    assert kept.notes[0][2:] == (here, DataClass.TELEMETRY, "z", Sample(160))
    assert kept.notes[1][3] is DataClass.PROMPT
    assert kept.sounds == [("caller", 0, b"\xff")]
    assert kept.commits == ["commit", "done"]
    (event,) = told
    assert isinstance(event.pop("mono"), float)
    assert event == {
        "type": "dtmf", "call": "c", "turn": 2, "attempt": 0, "sample": 160,
        "data": {"digit": "1"},
    }  # fmt: skip  # one event
