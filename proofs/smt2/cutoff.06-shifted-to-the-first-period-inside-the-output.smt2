; cutoff: shifted to the first period: inside the output
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const M Int)
(declare-const o Int)
(declare-const s Int)
(assert (<= s M))
(assert (< o s))
; the goal, negated
(assert (not (< o M)))
(check-sat)
(exit)
