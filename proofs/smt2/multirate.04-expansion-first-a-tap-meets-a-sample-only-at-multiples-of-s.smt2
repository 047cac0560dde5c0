; multirate: expansion first: a tap meets a sample only at multiples of s
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const i Int)
(declare-const j Int)
(declare-const o Int)
(declare-const s Int)
(declare-const v Int)
(assert (= (+ o (* s j)) (* s i)))
(assert (= v (- i j)))
; the goal, negated
(assert (not (= o (* s v))))
(check-sat)
(exit)
