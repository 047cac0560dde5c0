; conventions: SAME transposed convolution
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const k Int)
(declare-const n Int)
(declare-const pb Int)
(declare-const pe Int)
(declare-const s Int)
(assert (= (+ pb pe) (- (+ (* d (- k 1)) 1) s)))
; the goal, negated
(assert (not (= (- (- (+ (* (- n 1) s) (+ (* d (- k 1)) 1)) pb) pe) (* n s))))
(check-sat)
(exit)
