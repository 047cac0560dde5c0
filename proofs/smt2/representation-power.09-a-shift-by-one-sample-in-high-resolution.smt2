; representation-power: a shift by one sample in high resolution
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const j Int)
(declare-const k Int)
(declare-const o Int)
(declare-const p Int)
(declare-const pb Int)
; the goal, negated
(assert (not (= (and (= p (- (+ o j) pb)) (and (<= 0 j) (< j k))) (and (= (+ p 1) (- (+ (+ o 1) j) pb)) (and (<= 0 j) (< j k))))))
(check-sat)
(exit)
