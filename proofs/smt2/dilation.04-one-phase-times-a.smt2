; dilation: one phase, times a
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const d1 Int)
(declare-const s1 Int)
(declare-const x Int)
(declare-const z Int)
(assert (= (* d1 x) (* s1 z)))
; the goal, negated
(assert (not (= (* a (* d1 x)) (* a (* s1 z)))))
(check-sat)
(exit)
