; equal-cost: whole networks
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const L Int)
(declare-const c Int)
(declare-const m Int)
(declare-const n Int)
(declare-const r Int)
(assert (= m (* r n)))
; the goal, negated
(assert (not (= (- (+ (+ (* c m) (* L (* m m))) (* m (* c (* r r)))) (* (* r r) (+ (+ (* c n) (* L (* n n))) (* n c)))) (* (* (* c n) r) (* (- r 1) (- r 1))))))
(check-sat)
(exit)
