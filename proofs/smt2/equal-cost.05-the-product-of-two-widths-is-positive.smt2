; equal-cost: the product of two widths is positive
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const n Int)
(declare-const r Int)
(declare-const z Int)
(assert (<= 1 r))
(assert (<= 1 n))
(assert (= z (* r n)))
; the goal, negated
(assert (not (<= 1 z)))
(check-sat)
(exit)
