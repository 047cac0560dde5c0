; resize-convolution: a window of r taps is no longer than the kernel
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const j Int)
(declare-const k Int)
(declare-const r Int)
(assert (<= 1 r))
(assert (<= 0 j))
(assert (< j k))
; the goal, negated
(assert (not (< (+ (- (- k 1) j) (- r 1)) (- (+ k r) 1))))
(check-sat)
(exit)
