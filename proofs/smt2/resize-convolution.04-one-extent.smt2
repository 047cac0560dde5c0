; resize-convolution: one extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const k Int)
(declare-const n Int)
(declare-const pb Int)
(declare-const pe Int)
(declare-const r Int)
; the goal, negated
(assert (not (= (+ (- (+ (+ (* r n) pb) pe) k) 1) (- (- (+ (* (- n 1) r) (+ (- (- (+ k r) 1) 1) 1)) (- (- k 1) pb)) (- (- k 1) pe)))))
(check-sat)
(exit)
