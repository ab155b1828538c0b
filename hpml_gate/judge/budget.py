"""How long a case may be measured. Light: options are read before anything is gated."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Seconds of measuring that a case may take; starting processes is not measuring."""

    screen_s: float
    confirm_s: float

    @classmethod
    def of(cls, suspect_s: float) -> "Budget":
        """Return the budget in which a suspect may take so many seconds, screening a third."""
        return cls(screen_s=suspect_s / 3, confirm_s=suspect_s)
