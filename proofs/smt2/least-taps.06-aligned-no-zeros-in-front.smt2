; least-taps: aligned: no zeros in front
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const s Int)
(declare-const x Int)
(assert (<= 1 s))
(assert (<= 0 a))
(assert (< a s))
(assert (= (* s x) a))
; the goal, negated
(assert (not (= a 0)))
(check-sat)
(exit)
