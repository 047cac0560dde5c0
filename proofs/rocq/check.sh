#!/bin/sh
# Compiles all proofs afresh. Fails if one does not compile, if a file has an unproved statement, or if a main theorem
# rests on an assumption; and if Assumptions.v misses a theorem. With --recheck, coqchk re-checks the compiled files.
set -eu
cd "$(dirname "$0")"

listed=$(grep '\.v$' _CoqProject)
for file in *.v; do
    echo "$listed" | grep -qx "$file" || { echo "$file is not in _CoqProject" >&2; exit 1; }
done

# Statements that would be believed without a proof, and switches that would weaken the kernel.
if grep -nEw 'Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|Hypothes[ie]s|Primitive|bypass_check' *.v ||
    grep -nE '^ *(Unset|Set) |type-in-type' *.v; then
    echo "unproved statements" >&2
    exit 1
fi

for name in $(sed -nE 's/^ *Theorem ([A-Za-z0-9_]+).*/\1/p' $listed); do
    grep -qx "Print Assumptions $name\." Assumptions.v || { echo "Assumptions.v misses $name" >&2; exit 1; }
done

make -s clean
make -s all COQC="${COQC:-coqc}" > assumptions.log
printed=$(grep -c '^Print Assumptions ' Assumptions.v)
closed=$(grep -cx 'Closed under the global context' assumptions.log || true)
others=$(grep -cvx 'Closed under the global context' assumptions.log || true)
cat assumptions.log
rm -f assumptions.log
if [ "$printed" != "$closed" ] || [ "$others" != 0 ]; then
    echo "$closed of $printed theorems are closed under the global context" >&2
    exit 1
fi
echo "$closed theorems, all closed under the global context"

if [ "${1:-}" = --recheck ]; then
    summary=$(coqchk -silent -o -Q . SymConv SymConv.Assumptions 2>&1)
    echo "$summary"
    echo "$summary" | grep -qx '\* Axioms: <none>' || { echo "coqchk found axioms" >&2; exit 1; }
fi
