; representation-power: phase 0: the next sample has another phase
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const b Int)
(declare-const r Int)
(declare-const z Int)
(assert (= z 0))
(assert (= (* r z) (- 1 b)))
; the goal, negated
(assert (not (not (= b 0))))
(check-sat)
(exit)
