; cutoff: a shift by o div s leaves one period
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const o Int)
(declare-const q Int)
(declare-const s Int)
(declare-const t Int)
(assert (= o (+ (* s t) q)))
(assert (<= 0 q))
(assert (< q s))
; the goal, negated
(assert (not (and (<= 0 (- o (* s t))) (< (- o (* s t)) s))))
(check-sat)
(exit)
