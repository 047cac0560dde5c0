; groups: inside the group: before
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const c1 Int)
(declare-const phi Int)
(assert (<= 1 R))
(assert (<= 0 c1))
(assert (<= 0 phi))
; the goal, negated
(assert (not (<= 0 (+ (* c1 R) phi))))
(check-sat)
(exit)
