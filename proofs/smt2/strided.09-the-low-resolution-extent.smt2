; strided: the low-resolution extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const A Int)
(declare-const B Int)
(declare-const F Int)
(declare-const K Int)
(declare-const l Int)
(assert (= A (- (+ F K) B)))
; the goal, negated
(assert (not (= (+ (- (+ (+ l B) A) K) 1) (+ (+ l F) 1))))
(check-sat)
(exit)
