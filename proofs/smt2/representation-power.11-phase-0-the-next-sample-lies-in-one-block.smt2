; representation-power: phase 0: the next sample lies in one block
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const b Int)
(declare-const r Int)
(declare-const z Int)
(assert (<= 2 r))
(assert (<= 0 b))
(assert (< b r))
(assert (= (* r z) (- 1 b)))
; the goal, negated
(assert (not (= z 0)))
(check-sat)
(exit)
