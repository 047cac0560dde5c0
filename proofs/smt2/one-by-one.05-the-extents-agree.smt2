; one-by-one: the extents agree
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const n Int)
(declare-const s Int)
; the goal, negated
(assert (not (= (+ (* (- n 1) s) (+ (- s 1) 1)) (* s n))))
(check-sat)
(exit)
