; multirate: expansion first: the same sample
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const s Int)
(declare-const v Int)
(assert (<= 1 s))
(assert (= (* s v) 0))
; the goal, negated
(assert (not (= v 0)))
(check-sat)
(exit)
