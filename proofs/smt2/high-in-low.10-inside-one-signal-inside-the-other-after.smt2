; high-in-low: inside one signal, inside the other: after
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const i Int)
(declare-const n Int)
(declare-const r Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (<= 1 (* r x)))
(assert (= x (- n i)))
; the goal, negated
(assert (not (< i n)))
(check-sat)
(exit)
