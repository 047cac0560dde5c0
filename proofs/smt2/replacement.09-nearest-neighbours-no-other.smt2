; replacement: nearest neighbours: no other
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const s Int)
(declare-const w Int)
(assert (<= 1 s))
(assert (< (* s w) s))
(assert (< (- 0 s) (* s w)))
; the goal, negated
(assert (not (= w 0)))
(check-sat)
(exit)
