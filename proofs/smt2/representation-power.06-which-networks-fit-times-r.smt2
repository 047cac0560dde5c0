; representation-power: which networks fit: times r
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const n Int)
(declare-const n2 Int)
(declare-const r Int)
(declare-const x Int)
(assert (<= (* (* r r) n2) (* r n)))
(assert (= x (- n (* r n2))))
; the goal, negated
(assert (not (<= 0 (* r x))))
(check-sat)
(exit)
