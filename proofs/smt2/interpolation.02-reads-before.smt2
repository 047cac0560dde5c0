; interpolation: reads before
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (<= (- 2 r) (* 2 (* r x))))
; the goal, negated
(assert (not (<= 0 x)))
(check-sat)
(exit)
