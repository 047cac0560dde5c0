"""The exception tree: what can go wrong that is not a verdict.

A refutation, a timeout and an unknown are verdicts, never exceptions that reach a user.

    SymconvError
    ├── UsageError              the caller's input is wrong (exit code 2)
    │   ├── ExpressionError     a layer expression does not parse; shows the place with a caret
    │   ├── LayerError          hyper-parameters that PyTorch itself refuses
    │   ├── ModelError          a module or file that cannot be loaded or read as layers
    │   └── CertificateError    a certificate that is malformed or cannot be read
    ├── OutsideFragment         a sound question that this version cannot decide (verdict `unknown`)
    ├── BudgetExceeded          the time or memory budget ran out (verdict `unknown`)
    └── InternalError           two deciders contradict each other, or an invariant broke (exit code 70)
"""

from __future__ import annotations


class SymconvError(Exception):
    """The root of everything that symconv raises on purpose."""


class UsageError(SymconvError):
    """The input is wrong: the message names the object, the rule, the value found and the repair."""


class ExpressionError(UsageError):
    """A layer expression that does not parse.

    Args:
        message: what is wrong and how to repair it.
        text: the expression.
        position: offset of the offending character in `text`, or None.
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.message, self.text, self.position = message, text, position
        super().__init__(self._render())

    def _render(self, width: int = 72) -> str:
        if self.position is None or not self.text:
            return self.message
        start = max(0, self.position - width // 2)
        window = self.text[start : start + width].replace("\n", " ").replace("\t", " ")
        head = "..." if start else ""
        tail = "..." if start + width < len(self.text) else ""
        caret = " " * (len(head) + self.position - start) + "^"
        return f"{self.message}\n  {head}{window}{tail}\n  {caret}"


class LayerError(UsageError):
    """A hyper-parameter, or a combination, that the layer does not allow."""


class ModelError(UsageError):
    """A module, attribute or model file that cannot be loaded or read as layers."""


class CertificateError(UsageError):
    """A certificate that cannot be read at all (a well-formed one that is wrong is `rejected`)."""


class OutsideFragment(SymconvError):
    """The question is sound, but lies outside what this version decides.

    Args:
        reason: a short word for the JSON field `reason`, such as `outside_fragment`.
        detail: the sentence shown to the user.
    """

    def __init__(self, detail: str, reason: str = "outside_fragment") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


class BudgetExceeded(SymconvError):
    """The budget in seconds or in work ran out before the question was decided."""

    def __init__(self, detail: str) -> None:
        self.reason, self.detail = "budget", detail
        super().__init__(detail)


class InternalError(SymconvError):
    """symconv contradicted itself. This is a bug; the message carries a reproducer."""
