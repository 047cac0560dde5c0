; low-resolution-input: no copy is too far
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const B Int)
(declare-const L Int)
(declare-const h Int)
(declare-const s Int)
(assert (<= B (* (+ L 1) h)))
(assert (<= s (- B h)))
; the goal, negated
(assert (not (<= s (* L h))))
(check-sat)
(exit)
