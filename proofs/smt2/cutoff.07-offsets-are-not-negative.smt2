; cutoff: offsets are not negative
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const j Int)
(assert (<= 1 d))
(assert (<= 0 j))
; the goal, negated
(assert (not (<= 0 (* d j))))
(check-sat)
(exit)
