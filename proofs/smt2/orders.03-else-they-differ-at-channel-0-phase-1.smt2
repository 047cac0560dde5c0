; orders: else they differ at channel 0, phase 1
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const C Int)
(declare-const R Int)
(declare-const c Int)
(declare-const phi Int)
(assert (<= 2 C))
(assert (= c 0))
(assert (= phi 1))
; the goal, negated
(assert (not (not (= (+ (* c R) phi) (+ (* phi C) c)))))
(check-sat)
(exit)
