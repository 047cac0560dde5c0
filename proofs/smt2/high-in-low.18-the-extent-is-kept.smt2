; high-in-low: the extent is kept
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const E Int)
(declare-const r Int)
(assert (<= 1 r))
(assert (<= 0 (* r E)))
(assert (< (* r E) r))
; the goal, negated
(assert (not (= E 0)))
(check-sat)
(exit)
