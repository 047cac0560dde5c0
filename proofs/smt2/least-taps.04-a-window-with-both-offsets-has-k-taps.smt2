; least-taps: a window with both offsets has K taps
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const P Int)
(declare-const W Int)
(declare-const b Int)
(assert (<= b (- P (- K 1))))
(assert (< P (+ b W)))
; the goal, negated
(assert (not (<= K W)))
(check-sat)
(exit)
