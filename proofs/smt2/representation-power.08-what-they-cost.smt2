; representation-power: what they cost
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const T Int)
(declare-const n Int)
(declare-const n2 Int)
(declare-const r Int)
(assert (= n (* r n2)))
; the goal, negated
(assert (not (= (* (* r r) (* (* (* r r) (* n2 n2)) T)) (* (* (* r r) (* n n)) T))))
(check-sat)
(exit)
