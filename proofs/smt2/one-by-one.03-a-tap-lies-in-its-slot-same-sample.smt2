; one-by-one: a tap lies in its slot: same sample
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const s Int)
(declare-const x Int)
(assert (<= 1 s))
(assert (< (* s x) s))
(assert (< (- 0 s) (* s x)))
; the goal, negated
(assert (not (= x 0)))
(check-sat)
(exit)
