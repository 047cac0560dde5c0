; equal-cost: r^D times the parameters
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const T Int)
(declare-const m Int)
(declare-const n Int)
(assert (= (* m m) (* R (* n n))))
; the goal, negated
(assert (not (= (* (* m m) T) (* R (* (* n n) T)))))
(check-sat)
(exit)
