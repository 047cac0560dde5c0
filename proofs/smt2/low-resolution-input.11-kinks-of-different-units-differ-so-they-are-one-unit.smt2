; low-resolution-input: kinks of different units differ: so they are one unit
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const x Int)
(declare-const y Int)
(assert (= (* y x) 0))
(assert (not (= x 0)))
; the goal, negated
(assert (not (= y 0)))
(check-sat)
(exit)
