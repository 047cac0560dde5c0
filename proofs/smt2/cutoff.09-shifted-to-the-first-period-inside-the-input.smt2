; cutoff: shifted to the first period: inside the input
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const s Int)
(declare-const x Int)
(assert (<= 1 s))
(assert (<= 1 (* s x)))
; the goal, negated
(assert (not (<= 1 x)))
(check-sat)
(exit)
