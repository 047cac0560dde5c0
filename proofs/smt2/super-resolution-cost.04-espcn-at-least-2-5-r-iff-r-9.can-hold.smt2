; super-resolution-cost: ESPCN: at least 2.5 R iff R <= 9: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(declare-const R Int)
(assert (<= 1 R))
(assert (and (<= (- 9) R) (<= R 9)))
(check-sat)
(exit)
