; bijection: none is empty if r divides k: e < 1
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const e Int)
(declare-const r Int)
(assert (<= 1 r))
(assert (< (* r e) r))
; the goal, negated
(assert (not (< e 1)))
(check-sat)
(exit)
