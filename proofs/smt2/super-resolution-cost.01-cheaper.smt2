; super-resolution-cost: cheaper
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const S Int)
(declare-const t Int)
(assert (<= 2 R))
(assert (<= 1 S))
; the goal, negated
(assert (not (< (+ S (* R t)) (* R (+ S t)))))
(check-sat)
(exit)
