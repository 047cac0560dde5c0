; low-not-high: no tap is lost after
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const K Int)
(declare-const r Int)
(declare-const u Int)
(declare-const x Int)
(assert (<= 1 r))
(assert (< (* r x) r))
(assert (= x (- u (- K 1))))
; the goal, negated
(assert (not (< u K)))
(check-sat)
(exit)
