; dilation: Bezout, times j - j'
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const b Int)
(declare-const d1 Int)
(declare-const s1 Int)
(declare-const x Int)
(assert (= (+ (* a d1) (* b s1)) 1))
; the goal, negated
(assert (not (= (+ (* a (* d1 x)) (* b (* s1 x))) x)))
(check-sat)
(exit)
