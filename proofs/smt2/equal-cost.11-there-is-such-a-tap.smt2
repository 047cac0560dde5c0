; equal-cost: there is such a tap
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const j Int)
(declare-const k Int)
(declare-const t Int)
(assert (<= 1 k))
(assert (<= 0 t))
(assert (or (and (< t k) (= j t)) (and (<= k t) (= j (- k 1)))))
; the goal, negated
(assert (not (and (<= 0 j) (< j k))))
(check-sat)
(exit)
