; high-in-low: inside one signal, inside the other: before
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const b Int)
(declare-const i Int)
(declare-const r Int)
(assert (<= 1 r))
(assert (<= 0 b))
(assert (< b r))
; the goal, negated
(assert (not (= (<= 0 (+ (* r i) b)) (<= 0 i))))
(check-sat)
(exit)
