; replacement: equal cost on two axes: no zeros
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const k Int)
(declare-const x Int)
(declare-const z Int)
(assert (<= 1 k))
(assert (<= k x))
(assert (= z (- x k)))
(assert (= (* z (+ x k)) 0))
; the goal, negated
(assert (not (= z 0)))
(check-sat)
(exit)
