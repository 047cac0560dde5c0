; orders: the target is a channel: before
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const C Int)
(declare-const c Int)
(declare-const phi Int)
(assert (<= 1 C))
(assert (<= 0 phi))
(assert (<= 0 c))
; the goal, negated
(assert (not (<= 0 (+ (* phi C) c))))
(check-sat)
(exit)
