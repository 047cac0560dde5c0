; interpolation: reads after
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (<= (* 2 (* r x)) (- (- 0 r) 2)))
; the goal, negated
(assert (not (< x 0)))
(check-sat)
(exit)
