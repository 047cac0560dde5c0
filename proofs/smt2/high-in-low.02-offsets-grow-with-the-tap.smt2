; high-in-low: offsets grow with the tap
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const j Int)
(declare-const k Int)
(assert (<= 1 d))
(assert (< j k))
; the goal, negated
(assert (not (<= (* d j) (* d (- k 1)))))
(check-sat)
(exit)
