; orders: no shuffling: they agree
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const C Int)
(declare-const R Int)
(declare-const c Int)
(declare-const phi Int)
(assert (= phi 0))
(assert (= R 1))
; the goal, negated
(assert (not (= (+ (* c R) phi) (+ (* phi C) c))))
(check-sat)
(exit)
