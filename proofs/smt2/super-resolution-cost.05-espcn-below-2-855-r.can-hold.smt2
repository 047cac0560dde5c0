; super-resolution-cost: ESPCN: below 2.855 R: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(declare-const R Int)
(assert (<= 1 R))
(assert (and (<= (- 9) R) (<= R 9)))
(check-sat)
(exit)
