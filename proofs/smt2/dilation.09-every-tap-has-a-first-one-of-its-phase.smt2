; dilation: every tap has a first one of its phase
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const j Int)
(declare-const j2 Int)
(declare-const s1 Int)
(declare-const z Int)
(assert (= j (+ (* s1 z) j2)))
(assert (<= 0 j2))
(assert (< j2 s1))
; the goal, negated
(assert (not (= (- j (* s1 z)) j2)))
(check-sat)
(exit)
