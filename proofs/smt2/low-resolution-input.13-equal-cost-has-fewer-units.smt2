; low-resolution-input: equal cost has fewer units
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 2 r))
(assert (<= 1 x))
; the goal, negated
(assert (not (< x (* r x))))
(check-sat)
(exit)
