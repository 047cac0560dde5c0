; note-form: larger pb: its slot is outside
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const k Int)
(declare-const past Int)
(declare-const r Int)
(declare-const u Int)
(assert (<= 1 r))
(assert (<= 1 (* r past)))
(assert (= past (+ (- u k) 1)))
; the goal, negated
(assert (not (<= k u)))
(check-sat)
(exit)
