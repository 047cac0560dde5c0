; multirate: expansion first: one extent
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const k Int)
(declare-const n Int)
(declare-const s Int)
; the goal, negated
(assert (not (= (- (+ (* (- n 1) s) 1) (* s (- k 1))) (+ (* (- (- n (- k 1)) 1) s) 1))))
(check-sat)
(exit)
