"""Who goes on speaking for a voice that fails: the caller should not notice the change.

The same voice from another endpoint is best, then a twin: a voice of another vendor that was
declared to resemble it (either way round, or a twin of the same voice elsewhere).
"""

from collections.abc import Sequence

from trunkline.types import Endpoint


def by_voice(route: Sequence[Endpoint], well: int) -> list[Endpoint]:
    """*route*, the first as it is; the others of the first *well* by likeness to its voice.

    The order among equals stays: it is that of `core.routing`. Those that are not well stay behind:
    a strange voice is better than one that does not come.
    """
    first = route[0]
    alike = [it.name for it in route if first.voice and it.voice == first.voice]
    names = {first.name, *alike}
    twins = {it.twin_of for it in route if it.name in names}

    def rank(endpoint: Endpoint) -> int:
        if endpoint.name in names:
            return 0
        return 1 if endpoint.twin_of in names or endpoint.name in twins else 2

    return [first, *sorted(route[1:well], key=rank), *route[max(well, 1) :]]
