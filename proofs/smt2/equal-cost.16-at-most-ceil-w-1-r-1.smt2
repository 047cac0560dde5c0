; equal-cost: at most ceil((w - 1) / r) + 1
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const gap Int)
(declare-const r Int)
(declare-const x Int)
(declare-const z Int)
(assert (<= 1 r))
(assert (< (* r x) r))
(assert (= x (- gap z)))
; the goal, negated
(assert (not (<= (+ gap 1) (+ z 1))))
(check-sat)
(exit)
