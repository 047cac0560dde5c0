; equal-cost: equal cost: the squares are equal
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const T Int)
(declare-const y Int)
(assert (<= 1 T))
(assert (= (* y T) 0))
; the goal, negated
(assert (not (= y 0)))
(check-sat)
(exit)
