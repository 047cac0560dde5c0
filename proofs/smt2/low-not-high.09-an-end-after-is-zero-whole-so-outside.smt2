; low-not-high: an end after is zero: whole, so outside
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const r Int)
(declare-const u Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (< 0 (* r x)))
(assert (= x (- u (- K 1))))
; the goal, negated
(assert (not (<= K u)))
(check-sat)
(exit)
