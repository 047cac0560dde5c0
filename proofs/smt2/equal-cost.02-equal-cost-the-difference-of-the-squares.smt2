; equal-cost: equal cost: the difference of the squares
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const R Int)
(declare-const T Int)
(declare-const m Int)
(declare-const n Int)
(declare-const y Int)
(assert (= (* (* m m) T) (* (* R (* n n)) T)))
(assert (= y (- (* m m) (* R (* n n)))))
; the goal, negated
(assert (not (= (* y T) 0)))
(check-sat)
(exit)
