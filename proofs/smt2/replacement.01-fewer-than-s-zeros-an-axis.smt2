; replacement: fewer than s zeros an axis
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const k Int)
(declare-const s Int)
(assert (< (* s (- K 1)) k))
(assert (<= k (* s K)))
; the goal, negated
(assert (not (and (<= 0 (- (* s K) k)) (< (- (* s K) k) s))))
(check-sat)
(exit)
