; activation-patterns: phase 0 has as many
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const r Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (<= 0 (+ (- r 1) (* r x))))
(assert (< (+ (- r 1) (* r x)) (- (* 2 r) 1)))
; the goal, negated
(assert (not (= x 0)))
(check-sat)
(exit)
