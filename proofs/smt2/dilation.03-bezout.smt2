; dilation: Bezout
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const b Int)
(declare-const d1 Int)
(declare-const s1 Int)
(declare-const y Int)
(assert (= (+ (* a d1) (* b s1)) 1))
(assert (= y (+ (* a d1) (* b s1))))
; the goal, negated
(assert (not (= y 1)))
(check-sat)
(exit)
