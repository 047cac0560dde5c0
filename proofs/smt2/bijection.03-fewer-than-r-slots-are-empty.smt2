; bijection: fewer than r slots are empty
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const k Int)
(declare-const r Int)
(assert (< (* r (- K 1)) k))
(assert (<= k (* r K)))
; the goal, negated
(assert (not (and (<= 0 (- (* r K) k)) (< (- (* r K) k) r))))
(check-sat)
(exit)
