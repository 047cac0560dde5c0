; representation-power: the threshold: necessary
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const N Int)
(declare-const m Int)
(declare-const y Int)
(assert (<= 1 N))
(assert (< m y))
; the goal, negated
(assert (not (< (* m N) (* y N))))
(check-sat)
(exit)
