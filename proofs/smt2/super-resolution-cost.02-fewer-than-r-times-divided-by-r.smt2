; super-resolution-cost: fewer than R times, divided by R
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const S Int)
(declare-const t Int)
(assert (<= 2 R))
(assert (<= 1 t))
; the goal, negated
(assert (not (< (+ S t) (+ S (* R t)))))
(check-sat)
(exit)
