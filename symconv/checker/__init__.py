"""The checker: the trusted base. It accepts a certificate or not, believing nothing in it (docs/reference/certificate-format.md).

It uses the standard library and itself alone. Reading order: certificate, stages, blocks, rows, wires, extents, layers.
"""

from .certificate import Result, check_certificate
from .faults import Malformed

__all__ = ["Malformed", "Result", "check_certificate"]
