; representation-power: which networks fit: not more
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 2 r))
(assert (<= 0 (* r x)))
; the goal, negated
(assert (not (<= 0 x)))
(check-sat)
(exit)
