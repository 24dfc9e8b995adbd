"""Keeps keys from deciding: too soon after something appeared, and while they come faster than a person decides."""

import math
from collections.abc import Callable

GUARD_SECONDS = 0.6
"""Deciding keys do nothing for so long after a change appeared, its panel got the keys, or something was typed."""
TOO_SOON = "too soon: have a look first"
TOO_FAST = "keys came too fast, so nothing is decided: stop for a moment, then press one"


class KeyGuard:
    """On after `restart` until there was no key for `GUARD_SECONDS`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._since = clock()
        self._has_refused = False

    @property
    def is_on(self) -> bool:
        """Whether it is too soon to decide."""
        return self.clock() - self._since < GUARD_SECONDS

    @property
    def is_shut(self) -> bool:
        """Whether a key was refused, and there was no pause since."""
        return self._has_refused and self.is_on

    def restart(self) -> None:
        """Count from now."""
        self._has_refused = self.is_shut
        self._since = self.clock()

    def lift(self) -> None:
        """Nothing is too soon any more."""
        self._since, self._has_refused = -math.inf, False

    def refuse(self) -> None:
        """A key was refused: all others are, until there was a pause."""
        self._since, self._has_refused = self.clock(), True

    def note_key(self, *, is_stray: bool = False) -> None:
        """A key came: count anew while on. `is_stray` is a letter that means nothing here: words are being typed."""
        if self.is_on or is_stray:
            self.restart()
