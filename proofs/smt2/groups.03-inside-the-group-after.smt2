; groups: inside the group: after
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const c1 Int)
(declare-const phi Int)
(declare-const w Int)
(assert (<= 1 R))
(assert (< c1 w))
(assert (< phi R))
; the goal, negated
(assert (not (< (+ (* c1 R) phi) (* w R))))
(check-sat)
(exit)
