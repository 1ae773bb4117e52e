"""Keys of the phone: what is pressed within a short time of one another is one message."""

from dataclasses import dataclass

from trunkline.types import Mono


@dataclass(slots=True)
class Keys:
    """At most *keys_max* of them, *gap_s* apart; `until` is when the message is over."""

    gap_s: float
    keys_max: int
    until: Mono | None = None
    pressed: str = ""

    def press(self, key: str, now: Mono) -> bool:
        """Take *key*; whether the message is complete with it: a # ends it."""
        self.pressed += "" if key == "#" and self.pressed else key
        self.until = Mono(now + self.gap_s)
        return key == "#" or len(self.pressed) >= self.keys_max

    def take(self) -> str:
        """The message; the next key begins a new one."""
        text = f"[keys pressed: {' '.join(self.pressed)}]"
        self.pressed, self.until = "", None
        return text
