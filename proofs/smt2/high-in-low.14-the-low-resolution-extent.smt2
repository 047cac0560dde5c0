; high-in-low: the low-resolution extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const A Int)
(declare-const B Int)
(declare-const E Int)
(declare-const K Int)
(declare-const n Int)
(assert (= K (+ (+ A B) 1)))
; the goal, negated
(assert (not (= (+ (- (+ (+ n B) (+ A E)) K) 1) (+ n E))))
(check-sat)
(exit)
