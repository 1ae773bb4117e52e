"""A changed file is read when it has settled; what is wrong is refused and told, once."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.config.models import Config
from trunkline.console.reloading import POLL_S, LastGood, Reloading, Watch, digest
from trunkline.errors import EndpointError, Fault

SHIPPED = Path(__file__).parents[2] / "trunkline.yaml"
GOOD = SHIPPED.read_text("utf-8")
CHANGED = GOOD.replace("give_up_s: 8.0", "give_up_s: 7.0")
WRONG = GOOD.replace("version: 1", "version: 2").replace("port: 8100", "prot: 8100")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration of one's own."""
    file = tmp_path / "trunkline.yaml"
    file.write_text(GOOD, "utf-8")
    return file


def test_a_change_is_told_once_and_only_when_the_file_has_settled(path: Path) -> None:
    """An editor that writes in two goes is not read in between."""
    watch = Watch(str(path))
    assert not watch.poll()
    path.write_text(GOOD[:100], "utf-8")
    assert not watch.poll(), "it has only just changed"
    path.write_text(CHANGED, "utf-8")
    assert not watch.poll(), "and again"
    assert watch.poll()
    assert not watch.poll()


def test_a_file_that_is_replaced_or_gone_is_another(path: Path, tmp_path: Path) -> None:
    """Editors rename, Kubernetes swaps links; a file that comes back as it was is no change."""
    watch = Watch(str(path))
    away = tmp_path / "away"
    path.rename(away)
    assert not watch.poll()
    away.rename(path)
    assert [watch.poll(), watch.poll()] == [False, False]
    path.unlink()
    assert [watch.poll(), watch.poll()] == [False, True]


class Parts:
    """Takes configurations, or fails to."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.taken: list[float | None] = []
        self._fails = fails

    async def change(self, config: Config) -> None:
        """Remember one figure of it."""
        await asyncio.sleep(0.1)
        if self._fails is not None:
            raise self._fails
        self.taken.append(config.agents["receptionist"].policy.give_up_s)


class House:
    """A worker that reloads, and what it tells."""

    def __init__(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None
    ) -> None:
        async def here(do: Callable[..., object], *args: object) -> object:
            return do(*args)

        monkeypatch.setattr(asyncio, "to_thread", here)  # virtual time has no threads
        self.parts, self.told, self.digests = Parts(fails), list[dict[str, object]](), list[str]()
        self.reloading = Reloading(str(path), self.parts, self.told.append, self.digests.append)

    async def runs(self, seconds: float) -> None:
        """Let so much time pass."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.reloading.run())
            await asyncio.sleep(seconds)
            running.cancel()


async def test_a_changed_file_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within three looks; who starts workers learns which text it was."""
    house = House(path, monkeypatch)
    await house.runs(3 * POLL_S)
    assert house.parts.taken == []
    path.write_text(CHANGED, "utf-8")
    await house.runs(3.5 * POLL_S)
    assert house.parts.taken == [7.0]
    assert house.told == [{"type": "config.reloaded", "config": str(path)}]
    assert house.digests == [digest(CHANGED)]


async def test_a_wrong_file_is_refused_with_every_reason_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log and as an event; then the right one is taken."""
    house = House(path, monkeypatch)
    path.write_text(WRONG, "utf-8")
    await house.runs(20 * POLL_S)
    (told,) = house.told
    assert told["type"] == "config.refused"
    assert isinstance(told["reasons"], list)
    assert len(told["reasons"]) == 2
    (record,) = [it for it in caplog.records if it.levelno == logging.ERROR]
    assert "goes on as before" in record.getMessage()
    assert f"{path}:4: version" in record.getMessage()
    path.write_text(CHANGED, "utf-8")
    await house.runs(4 * POLL_S)
    assert house.parts.taken == [7.0]


async def test_what_fails_when_it_is_taken_is_refused_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an engine that does not start; nobody starts by that text."""
    house = House(path, monkeypatch, EndpointError("ears", Fault.SILENT, "did not start in time"))
    path.write_text(CHANGED, "utf-8")
    await house.runs(4 * POLL_S)
    assert [told["reasons"] for told in house.told] == [["ears: silent: did not start in time"]]
    assert house.digests == []


async def test_a_nudge_reads_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a file that is as it was: an operator wants to see it."""
    house = House(path, monkeypatch)
    house.reloading.nudge()
    await house.runs(0.5 * POLL_S)
    assert house.parts.taken == [8.0]


def test_workers_start_by_what_was_taken_last(path: Path) -> None:
    """Not by what stands in the file and was refused, nor by what nobody has taken yet."""
    good = LastGood(str(path))
    path.write_text(WRONG, "utf-8")
    good.read()
    assert good.text == GOOD
    path.write_text(CHANGED, "utf-8")
    good.taken(digest(WRONG))
    assert good.text == GOOD
    good.taken(digest(CHANGED))
    assert good.text == CHANGED
    with good.file() as file:
        assert file.read().decode() == CHANGED
    path.unlink()
    good.taken(digest(GOOD))
    assert good.text == CHANGED


def test_workers_that_replace_all_others_start_by_the_file(path: Path) -> None:
    """An operator has asked for it."""
    good = LastGood(str(path))
    path.write_text(CHANGED, "utf-8")
    good.read()
    assert good.text == CHANGED
