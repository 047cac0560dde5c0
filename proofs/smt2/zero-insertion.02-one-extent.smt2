; zero-insertion: one extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const k Int)
(declare-const n Int)
(declare-const op Int)
(declare-const pb Int)
(declare-const pe Int)
(declare-const s Int)
; the goal, negated
(assert (not (= (- (+ (+ (+ (* (- n 1) s) 1) (- (* d (- k 1)) pb)) (+ (- (* d (- k 1)) pe) op)) (* d (- k 1))) (- (- (+ (+ (* (- n 1) s) (+ (* d (- k 1)) 1)) op) pb) pe))))
(check-sat)
(exit)
