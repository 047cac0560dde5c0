; groups: the same place
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const c Int)
(declare-const c1 Int)
(declare-const g Int)
(declare-const phi Int)
(declare-const w Int)
(assert (= c (+ (* g w) c1)))
; the goal, negated
(assert (not (= (+ (* c R) phi) (+ (* g (* w R)) (+ (* c1 R) phi)))))
(check-sat)
(exit)
