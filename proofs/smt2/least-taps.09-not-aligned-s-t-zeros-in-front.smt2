; least-taps: not aligned: s - t zeros in front
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const a Int)
(declare-const s Int)
(declare-const t Int)
(declare-const x Int)
(assert (= (* s x) (+ t a)))
(assert (= x 1))
; the goal, negated
(assert (not (= a (- s t))))
(check-sat)
(exit)
