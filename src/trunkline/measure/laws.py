"""The two laws that intervals need, beta and Student's t, without a dependency on scipy.

The regularised incomplete beta function is the continued fraction of Abramowitz and Stegun 26.5.8
(1964), evaluated by Lentz's method as modified by Thompson and Barnett (1986).
"""

import math
from functools import lru_cache

_TINY, _EPS, _ROUNDS_MAX = 1e-300, 3e-14, 10_000
_HALVINGS = 60
"""Bisections at most: after these a float in [0, 1] is as near as it gets."""


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= *x*) for X of Beta(*a*, *b*); *a* and *b* above 0."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    whole = d
    for m in range(1, _ROUNDS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            step = c * d
            whole *= step
        if abs(step - 1) < _EPS:
            break
    return whole


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which `beta_cdf(x, a, b)` is *p*; 0 or 1 where the law has shrunk to a point."""
    if a <= 0:
        return 0.0
    if b <= 0:
        return 1.0
    low, high, x = 0.0, 1.0, a / (a + b)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(_HALVINGS):
        off = beta_cdf(x, a, b) - p
        low, high = (low, x) if off > 0 else (x, high)
        slope = math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        near = x - off / slope if slope > 0 else -1.0
        ahead = near if low < near < high else (low + high) / 2
        if abs(ahead - x) < 1e-12:
            return ahead
        x = ahead
    return x


def t_cdf(t: float, df: float) -> float:
    """P(T <= *t*) for Student's t with *df* degrees of freedom (not necessarily whole)."""
    tail = beta_cdf(df / (df + t * t), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=1_024)  # one per number of blocks and level
def t_quantile(p: float, df: float) -> float:
    """The t at which `t_cdf(t, df)` is *p*."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, df)
    x = beta_quantile(2 * (1 - p), df / 2, 0.5)
    return math.sqrt(df * (1 - x) / x)
