"""What the pages tell a reader to type or to open exists."""

import importlib
import importlib.util
import re
import shlex
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
import typer

from trunkline.calls.capability import PROVE_S
from trunkline.calls.examine import WITHIN_S
from trunkline.config.borders import contradictions
from trunkline.config.load import parse as parse_config
from trunkline.config.load import schema
from trunkline.core.warmth import LEAST_S, MOST_S
from trunkline.errors import ConfigError
from trunkline.measure.intervals import BLOCKS_HONEST, needed
from trunkline.net.gate import Gate
from trunkline.providers.factories import BUILT_IN
from trunkline.providers.reaching import HTTP_S, Resources
from trunkline.providers.registry import GROUP, build, with_plugins
from trunkline.testing.conformance_body import BODY_LAWS
from trunkline.testing.fault_plan import parse_plan
from trunkline.testing.incidents.files import folder, load_all, parse
from trunkline.testing.incidents.page import written
from trunkline.testing.simulation.run import Campaign
from trunkline.testing.simulation.worlds import load_world, parse_world

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")


class Command(Protocol):
    """What typer makes of a function, or of a group of them (`commands` only there)."""

    params: list[Any]
    commands: dict[str, "Command"]


def lines_of_code(page: str) -> list[str]:
    """Every line inside a fence and every span of code of *page*, without prompt and comment."""
    lines = [line for found in CODE.findall(page) for line in "\n".join(found).splitlines()]
    return [re.sub(r"^\s*\$ ", "", line.partition(" #")[0]).strip() for line in lines]


def make_targets(page: str) -> set[str]:
    """The targets that *page* tells a reader to make."""
    targets = set[str]()
    for line in lines_of_code(page):
        for call in re.findall(r"(?:^|[;&|] *|\w=\S* )make((?: +[\w./=\"'-]+)*)", line):
            words = re.sub(r"\w+=(\"[^\"]*\"|'[^']*'|\S*).*", "", call).split()
            targets.update(word for word in words if not word.startswith("-"))
    return targets


def defined_targets(makefile: str) -> set[str]:
    """The phony targets of *makefile*: what a person makes."""
    phony = re.search(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    named = set(phony[1].split()) if phony else set[str]()
    return {name for name in named if re.search(rf"^{name}:", makefile, re.MULTILINE)}


def unknown_in(line: str, root: Command) -> str | None:
    """The first subcommand or option of the command *line* that *root* does not have."""
    here = root
    for word in shlex.split(line)[1:]:
        commands = getattr(here, "commands", {})
        if word.startswith("-"):
            options = {name for it in here.params for name in (*it.opts, *it.secondary_opts)}
            if word.partition("=")[0] not in options | {"--help"}:
                return word
        elif word in commands:
            here = commands[word]
        elif commands:
            return word
    return None


def console() -> Command | None:
    """The command line as typer builds it; None while there is none."""
    if importlib.util.find_spec("trunkline.console.cli") is None:
        return None
    app = importlib.import_module("trunkline.console.cli").app
    return cast("Command", typer.main.get_command(app))


def console_lines(page: str) -> list[str]:
    """The lines of *page* that run trunkline."""
    lines = [re.sub(r"^(\w+=\S+ +)*(\.venv/bin/)?", "", line) for line in lines_of_code(page)]
    return [re.split(r" [|&>] ?", it)[0] for it in lines if re.match(r"trunkline( [a-z-]|$)", it)]


def slug(heading: str) -> str:
    """The anchor that a heading gets: lower case, hyphens for spaces, no other signs."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(page: Path, text: str) -> list[str]:
    """The relative links of *text* that lead nowhere."""
    broken = []
    prose = CODE.sub("", text)
    for target in LINK.findall(prose):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = page.parent / file if file else page
        if file and not goal.exists():
            broken.append(target)
        elif anchor and goal.suffix == ".md":
            there = text if goal == page else goal.read_text(encoding="utf-8")
            if anchor not in map(slug, re.findall(r"^#+ (.*)$", there, re.MULTILINE)):
                broken.append(target)
    return broken


def test_commands_are_found_in_pages() -> None:
    """Spans, fences, prompts, several targets, variables and comments are understood."""
    page = (
        "Run `make check test`, not make haste.\n"
        "```sh\n$ git clone x && make demo ARGS='--port 1'\n"
        ".venv/bin/trunkline demo --nope  # a comment\n```\n"
    )
    assert make_targets(page) == {"check", "test", "demo"}
    assert console_lines(page) == ["trunkline demo --nope"]
    assert defined_targets(".PHONY: a b\na: c\n\tx\nc:\n") == {"a"}


def test_what_the_console_lacks_is_found() -> None:
    """An unknown command and an unknown option are both found, a known one is not."""
    app = typer.Typer()

    @app.command()
    def demo(port: int = 1) -> None:
        """Talk."""

    @app.command()
    def serve() -> None:
        """Serve."""

    root = cast("Command", typer.main.get_command(app))
    assert unknown_in("trunkline demo --port 8", root) is None
    assert unknown_in("trunkline demo --prot 8", root) == "--prot"
    assert unknown_in("trunkline dmeo", root) == "dmeo"


def test_broken_links_are_found() -> None:
    """A missing file and a missing heading are found, code and addresses are left alone."""
    text = "# Some Thing\n[a](missing.md) [b](#some-thing) [c](#none) `[d](no.md)` [e](https://x)\n"
    assert broken_links(ROOT / "page.md", text) == ["missing.md", "#none"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    """Every make target, console command, option and relative link of a page exists."""
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert make_targets(text) - defined_targets(makefile) == set()
    root, lines = console(), console_lines(text)
    assert root is not None or not lines, f"there is no console to run {lines}"
    assert [(line, bad) for line in lines if root and (bad := unknown_in(line, root))] == []
    assert broken_links(page, text) == []


YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_configuration_of_the_page_on_residency_is_good() -> None:
    """A reader may copy it; its one border is open only because the zone names its contract."""
    text = (ROOT / "docs/residency.md").read_text(encoding="utf-8")
    (example,) = YAML.findall(text)
    config = parse_config(example, ROOT / "phones.yaml")
    assert config.residency is not None
    assert not contradictions(config)
    shown = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert shown == set(schema()["$defs"]["ClassConfig"]["properties"])
    for broken in (r"    evidence: .*\n", r"    transfer_tool: .*\n", r", options: \{mip.*?\}"):
        with pytest.raises(ConfigError, match="may not be used"):
            parse_config(re.sub(broken, "", example), ROOT / "phones.yaml")


def test_the_files_that_the_page_on_simulation_shows_are_good() -> None:
    """A reader may copy them: the world and the fault script load, and suit their commands."""
    text = (ROOT / "docs/simulate.md").read_text(encoding="utf-8")
    world, script = YAML.findall(text)
    assert list(parse_world(world, "my-world.yaml").endpoints) == ["hosted", "ours"]
    plan = parse_plan(script, "my-faults.yaml")
    assert Campaign(load_world("speech"), ("adaptive",), 10, 2, 1, 1.0, plan).workers == 1


def test_the_configuration_that_its_page_shows_is_good() -> None:
    """A reader may copy it; the page says how each part of an endpoint is written."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    (example,) = YAML.findall(text)
    config = parse_config(example, ROOT / "phones.yaml")
    llama, backup = config.endpoints["llama"], config.endpoints["backup"]
    assert len(llama.replicas) == 2
    assert llama.tls is not None
    assert llama.tls.key_file == ROOT / "tls/worker.key"
    assert backup.connect is not None
    assert backup.connect.deadline_s == HTTP_S
    for bound in (
        f"{WITHIN_S:g} s",
        f"{PROVE_S:g} s at most",
        f"{LEAST_S:g} s and at least each {MOST_S:g} s",
    ):
        assert bound in text
    assert {"replicas", "connect", "tls"} <= {*schema()["$defs"]["EndpointConfig"]["properties"]}


def test_the_page_on_incidents_is_what_their_files_say() -> None:
    """Its table is made from them, and its example passes as a file."""
    text = (ROOT / "docs/incidents.md").read_text(encoding="utf-8")
    remade = written(text, load_all(folder()))
    assert text == remade, "run: python -m trunkline.testing.incidents.page docs/incidents.md"
    (example,) = YAML.findall(text)
    assert parse(example, Path("stall.yaml")).calls[0].must.answered_by == "model-2"


PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_provider_that_a_page_adds_keeps_the_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its codec and its test are run as they stand, and its line of YAML builds the stage."""
    page = (ROOT / "docs/add-a-provider.md").read_text(encoding="utf-8")
    codec, test = PYTHON.findall(page)
    acme = types.ModuleType("acme_trunkline")
    monkeypatch.setitem(sys.modules, "acme_trunkline", acme)
    exec(compile(codec, "acme_trunkline.py", "exec"), acme.__dict__)  # noqa: S102  # our own page
    tested: dict[str, Any] = {}
    exec(compile(test, "test_acme.py", "exec"), tested)  # noqa: S102  # our own page
    assert len(BODY_LAWS) > 4
    for law in BODY_LAWS:
        tested["test_laws"](law)
    (line,) = YAML.findall(page)
    (named,) = re.findall(r'^"tts.acme" = "([^"]+)"', page, re.MULTILINE)
    apis = with_plugins([EntryPoint("tts.acme", named, GROUP)])
    shipped = (ROOT / "trunkline.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^  voice: .*$", lambda _: f"  {line.strip()}", shipped, flags=re.MULTILINE)
    resources = Resources(cast("Any", None), Gate(lambda _: None), {"ACME_KEY": "a-key"})
    stage = build(parse_config(text, "phones.yaml"), "voice", resources, apis)
    assert (stage.endpoint.api, stage.endpoint.name) == ("acme", "voice")


def test_every_api_has_a_row_in_the_page_on_providers() -> None:
    """And the line that it shows for a plugin is one that loads."""
    page = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (\w+) `(\w+)` \|", page, re.MULTILINE))
    assert rows == set(BUILT_IN)
    (line,) = YAML.findall(page)
    shipped = (ROOT / "trunkline.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^  ears: .*$", lambda _: f"  {line.strip()}", shipped, flags=re.MULTILINE)
    assert parse_config(text, "phones.yaml").endpoints["ears"].api == "livekit"


def test_the_pages_that_tell_how_are_there() -> None:
    """The test above would hold for no pages at all."""
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {page.name for page in PAGES}
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {"demo", "test", "check"} <= make_targets(contributing)


def test_the_page_on_measuring_tells_the_limits_that_hold() -> None:
    """What it says cannot be estimated is what is not; its worlds are those of the script."""
    page = (ROOT / "docs/measuring.md").read_text(encoding="utf-8")
    limits = [needed(p) for p in (0.95, 0.99, 0.999)]
    assert limits == [72, 368, 3_688]
    for said in (f"below {limits[0]} ", f"below {limits[1]}", f"below {limits[2]:,}"):
        assert said in page
    assert f"{BLOCKS_HONEST} blocks an interval is called rough" in page
    script = (ROOT / "scripts/coverage.py").read_text(encoding="utf-8")
    worlds = re.findall(r'^    "([^"]+)": \w+', script, re.MULTILINE)
    assert len(worlds) == 7
    for world in worlds:
        assert re.search(rf"^\| {re.escape(world)} \| \d\d\.\d%", page, re.MULTILINE)
