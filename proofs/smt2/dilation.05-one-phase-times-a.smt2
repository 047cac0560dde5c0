; dilation: one phase, times a
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const w Int)
(assert (= w 0))
; the goal, negated
(assert (not (= (* a w) 0)))
(check-sat)
(exit)
