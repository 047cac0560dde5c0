; orders: the target is a channel: after
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const C Int)
(declare-const R Int)
(declare-const c Int)
(declare-const phi Int)
(assert (<= 1 C))
(assert (< phi R))
(assert (< c C))
; the goal, negated
(assert (not (< (+ (* phi C) c) (* R C))))
(check-sat)
(exit)
