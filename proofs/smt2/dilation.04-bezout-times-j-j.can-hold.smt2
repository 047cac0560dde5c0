; dilation: Bezout, times j - j': the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(declare-const y Int)
(assert (= y 1))
(assert (and (<= (- 9) y) (<= y 9)))
(check-sat)
(exit)
