; low-not-high: no tap is lost before
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const u Int)
(assert (<= 1 r))
(assert (< (- 0 r) (* r u)))
; the goal, negated
(assert (not (<= 0 u)))
(check-sat)
(exit)
