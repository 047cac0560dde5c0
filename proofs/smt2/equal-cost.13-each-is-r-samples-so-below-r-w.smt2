; equal-cost: each is r samples: so below r w
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const b Int)
(declare-const i Int)
(declare-const r Int)
(declare-const w Int)
(declare-const x Int)
(assert (= x (- (- w 1) i)))
(assert (<= 0 (+ (* r x) (- (- r 1) b))))
; the goal, negated
(assert (not (< (+ (* r i) b) (* r w))))
(check-sat)
(exit)
