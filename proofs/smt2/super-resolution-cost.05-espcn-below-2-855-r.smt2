; super-resolution-cost: ESPCN: below 2.855 R
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(assert (<= 1 R))
; the goal, negated
(assert (not (< 57184000 (* 2855 (+ 20032 (* 288 R))))))
(check-sat)
(exit)
