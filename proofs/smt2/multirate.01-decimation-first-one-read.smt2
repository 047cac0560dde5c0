; multirate: decimation first: one read
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const i Int)
(declare-const j Int)
(declare-const o Int)
(declare-const s Int)
(declare-const v Int)
(assert (= i (* s v)))
(assert (= v (+ o j)))
; the goal, negated
(assert (not (= i (+ (* s o) (* s j)))))
(check-sat)
(exit)
