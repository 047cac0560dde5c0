; conventions: JAX SAME: TensorFlow's alignment
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const front Int)
(declare-const k Int)
(declare-const pb Int)
(declare-const s Int)
(assert (< (* 2 (- front 1)) (- (+ k s) 2)))
(assert (<= (- (+ k s) 2) (* 2 front)))
(assert (= pb (- (- k 1) front)))
; the goal, negated
(assert (not (and (<= (* 2 pb) (- k s)) (<= (- k s) (+ (* 2 pb) 1)))))
(check-sat)
(exit)
