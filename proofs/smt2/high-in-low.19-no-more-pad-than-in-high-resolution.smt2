; high-in-low: no more pad than in high resolution
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const B Int)
(declare-const pb Int)
(declare-const r Int)
(assert (<= 1 r))
(assert (<= 0 pb))
(assert (< (* r (- B 1)) pb))
(assert (<= pb (* r B)))
; the goal, negated
(assert (not (<= B pb)))
(check-sat)
(exit)
