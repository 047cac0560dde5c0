; dilation: one phase, times a: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(declare-const w Int)
(assert (= w 0))
(assert (and (<= (- 9) w) (<= w 9)))
(check-sat)
(exit)
