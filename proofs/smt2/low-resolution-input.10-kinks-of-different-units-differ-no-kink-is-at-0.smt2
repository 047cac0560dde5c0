; low-resolution-input: kinks of different units differ: no kink is at 0
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const g Int)
(declare-const left Int)
(declare-const x Int)
(assert (= (* g x) left))
(assert (<= 1 left))
; the goal, negated
(assert (not (not (= x 0))))
(check-sat)
(exit)
