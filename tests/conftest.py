"""Async tests run in virtual time; Hypothesis is deterministic where `CI` is set."""

import functools
import inspect
import os
from collections.abc import Awaitable, Callable

import hypothesis
import pytest

from trunkline.testing.virtual import run

# No verdict may hang on real time: shared machines stutter.
hypothesis.settings.register_profile(
    "dev", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("dev"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _in_virtual_time(test: Callable[..., Awaitable[None]], seed: int) -> Callable[..., None]:
    @functools.wraps(test)
    def sync(*args: object, **kwargs: object) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        run(main(), seed=seed)

    return sync


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Run `async def test_*` in virtual time; a parameter named `seed` draws the interleaving."""
    seed = pyfuncitem.funcargs.get("seed", 0)
    assert isinstance(seed, int), "the parameter `seed` draws the interleaving: an int"
    given = getattr(pyfuncitem.obj, "hypothesis", None)
    if given is not None and inspect.iscoroutinefunction(given.inner_test):
        given.inner_test = _in_virtual_time(given.inner_test, seed)
    elif inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = _in_virtual_time(pyfuncitem.obj, seed)
