; equal-cost: equal cost on two axes: m = r n
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const m Int)
(declare-const x Int)
(declare-const z Int)
(assert (<= 1 m))
(assert (<= 1 z))
(assert (= (* x (+ m z)) 0))
(assert (= x (- m z)))
; the goal, negated
(assert (not (= m z)))
(check-sat)
(exit)
