; representation-power: the threshold: sufficient
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const N Int)
(declare-const m Int)
(declare-const y Int)
(assert (<= 1 N))
(assert (< (* m N) (* y N)))
; the goal, negated
(assert (not (< m y)))
(check-sat)
(exit)
