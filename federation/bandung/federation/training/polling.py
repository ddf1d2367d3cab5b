"""How long to wait between two questions: in proportion to how long one has waited already."""

from typing import Final

_SHARE: Final = 0.15
_SHORTEST_S: Final = 0.05


def poll_interval_s(waited_s: float, longest_s: float) -> float:
    """Return the wait before the next question, in seconds.

    An answer is found at most 15 % (and 50 ms) later than it was there, and the number of questions grows
    with the logarithm of the wait until `longest_s` caps it.
    """
    return min(longest_s, max(_SHORTEST_S, _SHARE * waited_s))
