; replacement: no zeros if s divides k
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const s Int)
(declare-const z Int)
(assert (<= 0 (* s z)))
(assert (< (* s z) s))
; the goal, negated
(assert (not (= z 0)))
(check-sat)
(exit)
