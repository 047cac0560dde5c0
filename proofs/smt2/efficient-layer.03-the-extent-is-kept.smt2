; efficient-layer: the extent is kept
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const h Int)
(declare-const k Int)
(declare-const n Int)
(declare-const pb Int)
(declare-const pe Int)
(declare-const r Int)
; the goal, negated
(assert (not (= (- (- (+ (* (- n 1) r) (+ (- h 1) 1)) pb) (- pe (- (* k r) h))) (- (- (+ (* (- n 1) r) (+ (- (* k r) 1) 1)) pb) pe))))
(check-sat)
(exit)
