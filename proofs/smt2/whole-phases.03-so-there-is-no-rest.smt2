; whole-phases: so there is no rest
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const e Int)
(declare-const s Int)
(declare-const z Int)
(assert (<= 1 s))
(assert (<= 0 z))
(assert (< z s))
(assert (= (* s e) z))
; the goal, negated
(assert (not (= z 0)))
(check-sat)
(exit)
