"""How long a voice takes to say a text: D(text) = a + b * characters, learnt per endpoint.

A synthesiser that closes its stream cleanly after half a sentence has failed, and nothing but the
duration tells so. The line is a least-squares fit over what the voice has said, forgetting slowly,
begun from a prior that stands for a few observations (ridge regression towards the prior).

Prior: 15 characters a second, between the 2.6 words a second of read English and the fast end of
commercial voices; a voice at twice that speed still passes the alarm at 0.6 x D.
"""

from dataclasses import dataclass

PRIOR_A_S, PRIOR_B_S = 0.1, 1 / 15
KNOWN = 30
"""Phrases: after so many a voice at three times the prior's pace is not mistaken for a cut one."""
_PRIOR_AT = (10, 100)  # characters: two places pin a line
_PRIOR_WEIGHT = 2.0
_KEEP = 0.98  # the last fifty phrases count


@dataclass(slots=True)
class Tempo:
    """One voice. The sums are those of a weighted fit of seconds over characters."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it is more than the prior."""
        return self.n >= KNOWN

    def learn(self, chars: int, seconds: float) -> None:
        """A text of *chars* characters, said to its end, took *seconds*."""
        seen = (1.0, float(chars), seconds, float(chars) ** 2, chars * seconds)
        old = (self.n, self.x, self.y, self.xx, self.xy)
        self.n, self.x, self.y, self.xx, self.xy = (
            _KEEP * before + more for before, more in zip(old, seen, strict=True)
        )

    def expected_s(self, chars: int) -> float:
        """D: the seconds that a text of *chars* characters takes; never less than the prior's a.

        The prior's two observations keep the fit's determinant above zero.
        """
        n, x, y, xx, xy = self.n, self.x, self.y, self.xx, self.xy
        for at in _PRIOR_AT:
            took = PRIOR_A_S + PRIOR_B_S * at
            n, x, y = n + _PRIOR_WEIGHT, x + _PRIOR_WEIGHT * at, y + _PRIOR_WEIGHT * took
            xx, xy = xx + _PRIOR_WEIGHT * at**2, xy + _PRIOR_WEIGHT * at * took
        slope = (n * xy - x * y) / (n * xx - x * x)
        return max((y - slope * x) / n + slope * chars, PRIOR_A_S)
