; checkerboard: as many taps in every phase
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const phi Int)
(declare-const r Int)
(declare-const x Int)
(assert (<= 0 phi))
(assert (< phi r))
(assert (<= 0 (+ (* r x) phi)))
(assert (< (+ (* r x) phi) r))
; the goal, negated
(assert (not (= x 0)))
(check-sat)
(exit)
