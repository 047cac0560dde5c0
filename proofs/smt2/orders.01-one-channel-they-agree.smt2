; orders: one channel: they agree
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const C Int)
(declare-const R Int)
(declare-const c Int)
(declare-const phi Int)
(assert (= c 0))
(assert (= C 1))
; the goal, negated
(assert (not (= (+ (* c R) phi) (+ (* phi C) c))))
(check-sat)
(exit)
