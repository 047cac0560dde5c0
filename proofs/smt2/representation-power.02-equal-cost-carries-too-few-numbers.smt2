; representation-power: equal cost carries too few numbers
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 2 r))
(assert (<= 1 x))
; the goal, negated
(assert (not (< (* r x) (* r (* r x)))))
(check-sat)
(exit)
