"""Rewrites what is derived from the theorems: the SMT-LIB files and the list of mutants that are still true.

Owns: `main`. Must not know: particular theorems.

Run as `python -m proofs.regenerate` after a change of an obligation, and read the difference before committing it: a new
line in `still_true.json` is a change of a formula that no solver refutes, so it needs a reason (`mutation.reason`).
"""

from __future__ import annotations

import json
import sys

from symconv.certificate.encode import write_atomically

from . import corpus, smt
from .mutation import RECORD, caught, mutants_of
from .theorem import Theorem


def survivors(theorem: Theorem) -> tuple[int, list[str]]:
    """How many mutants a theorem has, and the changes after which it is still proved."""
    mutants = list(mutants_of(theorem))
    return len(mutants), sorted({mutant.change for mutant in mutants if not caught(mutant)})


def main() -> int:
    """Writes both, prints what changed, and returns 0."""
    theorems = corpus()
    smt.write(theorems)
    found, total = {}, 0
    for theorem in theorems:
        count, changes = survivors(theorem)
        total += count
        if changes:
            found[theorem.name] = changes
    old = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sorted({*old, *found}):
        for change in sorted({*old.get(name, ())} ^ {*found.get(name, ())}):
            print(f"{'still true' if change in found.get(name, ()) else 'caught now'}: {name}: {change}")
    write_atomically(RECORD, json.dumps(found, indent=1) + "\n", force=True)
    flagged = sum(map(len, found.values()))
    scripts = sum(1 for _ in smt.FOLDER.glob("*.smt2"))
    print(f"{scripts} scripts; {total} mutants: {total - flagged} caught, {flagged} true as altered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
