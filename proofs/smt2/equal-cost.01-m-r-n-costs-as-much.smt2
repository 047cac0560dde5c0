; equal-cost: m = r n costs as much
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const T Int)
(declare-const m Int)
(declare-const n Int)
(declare-const r Int)
(assert (= m (* r n)))
(assert (= (* r r) R))
; the goal, negated
(assert (not (= (* (* m m) T) (* (* R (* n n)) T))))
(check-sat)
(exit)
