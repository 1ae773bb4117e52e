"""Who read what, and who may."""

from pathlib import Path

import pytest

from tests.records.test_archive import _close, archive  # noqa: F401  # it closes archives
from trunkline.errors import InputError
from trunkline.records import access
from trunkline.records.access import MAY, Access, Person, Role, accesses, user


def test_accesses_are_kept_in_order_and_told_by_call(tmp_path: Path) -> None:
    """A search through all calls concerns each of them."""
    catalogue = archive(tmp_path).catalogue
    entries = [
        Access(1.0, "rita", "show", "a"),
        Access(2.0, "olive", "search", access.ALL_CALLS),
        Access(3.0, "rita", "play", "b"),
    ]
    for entry in entries:
        access.note(catalogue, entry)
    assert accesses(catalogue, None, 10) == entries
    assert accesses(catalogue, "a", 10) == entries[:2]
    assert accesses(catalogue, None, 1) == entries[2:]
    again = archive(tmp_path).catalogue
    assert accesses(again, None, 10) == entries


@pytest.mark.parametrize("what", MAY)
def test_a_role_lets_do_what_it_is_for(what: str) -> None:
    """Once anybody has one; who has none may nothing then."""
    roles = {role.value: [f"a {role}"] for role in Role}
    Person("anybody").check(what)
    Person("anybody", {"reader": []}).check(what)
    for role in Role:
        if role in MAY[what]:
            Person(f"a {role}", roles).check(what)
        else:
            with pytest.raises(InputError, match=rf"a {role} may not do this \({what}\)"):
                Person(f"a {role}", roles).check(what)
    with pytest.raises(InputError, match="it takes the role"):
        Person("a stranger", roles).check(what)


def test_nobody_both_reads_calls_and_erases_them() -> None:
    """Unless somebody is given both roles."""
    assert MAY["erase"] & MAY["show"] == set()
    assert Role.READER not in MAY["access"], "who reads does not look after who read"


def test_a_user_is_who_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says counts only where that was configured."""
    mine = user(None, {})
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("TRUNKLINE_USER", "somebody-else")
    assert user(None) == mine != "somebody-else"
    assert user("TRUNKLINE_USER") == "somebody-else"
    with pytest.raises(InputError, match="the environment has no TRUNKLINE_USER"):
        user("TRUNKLINE_USER", {})
