; conventions: unit stride and dilation, even kernel: no symmetric padding
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const x Int)
(declare-const z Int)
(assert (= z (- 1 (* 2 x))))
; the goal, negated
(assert (not (not (= z 0))))
(check-sat)
(exit)
