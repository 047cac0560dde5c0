; replacement: equal cost on two axes: factored
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const k Int)
(declare-const x Int)
(declare-const z Int)
(assert (= z (- x k)))
(assert (= (* x x) (* k k)))
; the goal, negated
(assert (not (= (* z (+ x k)) 0)))
(check-sat)
(exit)
