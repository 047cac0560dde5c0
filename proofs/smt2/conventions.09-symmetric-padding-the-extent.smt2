; conventions: symmetric padding: the extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const k Int)
(declare-const n Int)
(declare-const op Int)
(declare-const p Int)
(declare-const s Int)
(assert (= (- (* 2 p) op) (- (+ (* d (- k 1)) 1) s)))
; the goal, negated
(assert (not (= (- (- (+ (+ (* (- n 1) s) (+ (* d (- k 1)) 1)) op) p) p) (* n s))))
(check-sat)
(exit)
