; low-resolution-input: zeros agree after the end
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const N Int)
(declare-const delta Int)
(declare-const q Int)
(declare-const s Int)
(assert (<= 0 delta))
(assert (<= 0 s))
(assert (<= N (+ q delta)))
; the goal, negated
(assert (not (<= N (+ (+ q delta) s))))
(check-sat)
(exit)
