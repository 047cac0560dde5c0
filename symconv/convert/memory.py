"""Answers already found in this run: a model of 500 layers has few different ones.

Owns: `Memory`.
Must not know: what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Memory:
    """Answers by question. Layers and expressions are frozen, so that a question with the same parts has the same answer."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def recall(self, question: Hashable, find: Callable[[], Answer]) -> Answer:
        """The answer to a question; `find` is called the first time that it is asked."""
        if question not in self._known:
            self._known[question] = find()
        answer: Answer = self._known[question]
        return answer

    def __len__(self) -> int:
        """How many different questions were asked."""
        return len(self._known)
