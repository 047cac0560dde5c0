; super-resolution-cost: fewer than R times
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const S Int)
(declare-const t Int)
(declare-const x Int)
(assert (<= 2 R))
(assert (< (+ S t) x))
; the goal, negated
(assert (not (< (* R (+ S t)) (* R x))))
(check-sat)
(exit)
