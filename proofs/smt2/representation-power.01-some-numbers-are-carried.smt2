; representation-power: some numbers are carried
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const N Int)
(declare-const n Int)
(declare-const x Int)
(assert (<= 1 N))
(assert (<= 1 n))
(assert (= x (* n N)))
; the goal, negated
(assert (not (<= 1 x)))
(check-sat)
(exit)
