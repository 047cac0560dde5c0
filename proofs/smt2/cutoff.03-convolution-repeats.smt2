; cutoff: convolution repeats
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const d Int)
(declare-const i Int)
(declare-const j Int)
(declare-const k Int)
(declare-const o Int)
(declare-const pb Int)
(declare-const s Int)
; the goal, negated
(assert (not (= (and (= i (- (+ (* s o) (* d j)) pb)) (and (<= 0 j) (< j k))) (and (= (+ i s) (- (+ (* s (+ o 1)) (* d j)) pb)) (and (<= 0 j) (< j k))))))
(check-sat)
(exit)
