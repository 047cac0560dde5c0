; super-resolution-cost: ESPCN: at least 2.5 R iff R <= 9
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(assert (<= 1 R))
; the goal, negated
(assert (not (= (<= (* 5 (+ 20032 (* 288 R))) 114368) (<= R 9))))
(check-sat)
(exit)
