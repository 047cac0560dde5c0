; dilation: the common divisor cancels
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const g Int)
(declare-const w Int)
(assert (<= 1 g))
(assert (= (* g w) 0))
; the goal, negated
(assert (not (= w 0)))
(check-sat)
(exit)
