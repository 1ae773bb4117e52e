"""The commands that are about configurations: check, schema, import."""

import json
from pathlib import Path

from tests.console.command import Run
from trunkline.config.load import parse

SHIPPED = Path(__file__).parents[2] / "trunkline.yaml"


def test_a_valid_configuration_is_explained(run: Run) -> None:
    """Who serves what, from where, and that it is valid."""
    told = run("check", "--no-dial", SHIPPED)
    assert (told.status, told.err) == (0, "")
    assert "agent receptionist" in told.out
    assert "llm: primary" in told.out
    assert "valid" in told.out


def test_a_route_that_one_failure_takes_down_is_pointed_at(run: Run, tmp_path: Path) -> None:
    """Two endpoints in one failure domain are one."""
    path = tmp_path / "trunkline.yaml"
    path.write_text(SHIPPED.read_text("utf-8").replace("rack-b", "rack-a"), "utf-8")
    assert "llm does not survive the loss of rack-a" in run("check", "--no-dial", path).out
    assert "llm does not survive" not in run("check", "--no-dial", SHIPPED).out


def test_a_wrong_configuration_is_an_error_with_file_and_line(run: Run, tmp_path: Path) -> None:
    """Status 2; the line is the one with the mistake, and nothing is said on stdout."""
    lines = SHIPPED.read_text("utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if line.strip() == "port: 8100"]
    lines[number - 1] = lines[number - 1].replace("port", "prot")
    path = tmp_path / "trunkline.yaml"
    path.write_text("\n".join(lines), "utf-8")
    told = run("check", path)
    assert told.status == 2
    assert told.out == ""
    assert f"{path}:{number}: " in told.err
    assert "prot" in told.err
    assert told.err.count("\n") == 1


def test_a_check_as_json_is_one_object(run: Run) -> None:
    """Nothing else is on stdout: other programs read it."""
    told = json.loads(run("check", SHIPPED, "--no-dial", "--json").out)
    assert (told["valid"], told["well"], told["dialed"]) == (True, True, False)
    assert told["endpoints"]["primary"]["failure_domain"] == "rack-a"
    losses = {it["failure_domain"]: it["survives"] for it in told["losses"]}
    assert losses == {"worker": False, "rack-a": True, "rack-b": True}


def test_the_schema_is_printed(run: Run) -> None:
    """For editors."""
    assert json.loads(run("config", "schema").out)["title"] == "Trunkline"


def test_what_is_imported_is_printed_and_what_is_not_is_said(run: Run, tmp_path: Path) -> None:
    """The file on stdout, the rest on stderr; the status tells whether it is good as it is."""
    path = tmp_path / "config.yaml"
    path.write_text("model_list: [{model_name: m, litellm_params: {model: openai/m, rpm: 1}}]")
    told = run("config", "import", "litellm", path)
    assert told.status == 0
    assert parse(told.out, "ours.yaml").endpoints["m"].key_env == "OPENAI_API_KEY"
    assert f"{path}:1: model_list[0].litellm_params.rpm: not carried over" in told.err
    path.write_text(
        "model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: ftp}}]"
    )
    assert run("config", "import", "litellm", path).status == 1


def test_a_missing_configuration_is_an_error(run: Run, tmp_path: Path) -> None:
    """It is named, whatever its name: brackets are not markup."""
    path = tmp_path / "[red]nope.yaml"
    told = run("check", path)
    assert told.status == 2
    assert str(path) in told.err
