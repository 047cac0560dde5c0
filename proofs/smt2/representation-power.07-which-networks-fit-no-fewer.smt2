; representation-power: which networks fit: no fewer
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const n Int)
(declare-const n2 Int)
(declare-const r Int)
(declare-const x Int)
(assert (<= 2 r))
(assert (<= 0 x))
(assert (= x (- n (* r n2))))
; the goal, negated
(assert (not (<= (* (* r r) n2) (* r n))))
(check-sat)
(exit)
