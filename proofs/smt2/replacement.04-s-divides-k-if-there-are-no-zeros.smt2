; replacement: s divides k if there are no zeros
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const k Int)
(declare-const s Int)
(assert (= (- (* s K) k) 0))
; the goal, negated
(assert (not (= k (* s K))))
(check-sat)
(exit)
