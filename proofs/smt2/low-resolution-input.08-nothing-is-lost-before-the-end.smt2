; low-resolution-input: nothing is lost before the end
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const delta Int)
(declare-const q Int)
(assert (<= 0 q))
(assert (<= 0 delta))
; the goal, negated
(assert (not (<= 0 (+ q delta))))
(check-sat)
(exit)
