"""The answers that a comparison can have.

Owns: `Relation`, `DomainRelation`, `Trust`, `Claim`. Must not know: how they are found.
"""

from __future__ import annotations

import enum


class Relation(enum.StrEnum):
    """How the function classes, or the two functions, compare; the value is what the JSON carries."""

    EQUAL = "equal"
    LEFT_IN_RIGHT = "left_in_right"
    RIGHT_IN_LEFT = "right_in_left"
    INCOMPARABLE = "incomparable"
    SHAPES_DIFFER = "shapes_differ"
    IDENTICAL = "identical"
    DIFFERENT = "different"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, forth: bool, back: bool) -> Relation:
        """The relation of two classes from the two inclusions (strictness follows, both being decided)."""
        if forth:
            return cls.EQUAL if back else cls.LEFT_IN_RIGHT
        return cls.RIGHT_IN_LEFT if back else cls.INCOMPARABLE


class DomainRelation(enum.StrEnum):
    """How the sets of valid extents compare."""

    SAME = "same"
    LEFT_WIDER = "left_wider"
    RIGHT_WIDER = "right_wider"
    OVERLAPPING = "overlapping"
    DISJOINT = "disjoint"


class Trust(enum.StrEnum):
    """What vouches for a verdict."""

    CERTIFIED = "certified"
    SOLVER = "solver"
    SAMPLED = "sampled"


class Claim(enum.StrEnum):
    """What a caller asks to be proved."""

    EQUAL = "equal"
    LEFT_IN_RIGHT = "left-in-right"
    RIGHT_IN_LEFT = "right-in-left"
