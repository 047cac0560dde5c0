; high-in-low: inside the other, inside the one: after, times r
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (<= 1 x))
; the goal, negated
(assert (not (<= r (* r x))))
(check-sat)
(exit)
