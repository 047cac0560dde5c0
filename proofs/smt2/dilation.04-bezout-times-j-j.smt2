; dilation: Bezout, times j - j'
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const x Int)
(declare-const y Int)
(assert (= y 1))
; the goal, negated
(assert (not (= (* x y) x)))
(check-sat)
(exit)
