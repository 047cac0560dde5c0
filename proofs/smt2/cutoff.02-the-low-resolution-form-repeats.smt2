; cutoff: the low-resolution form repeats
(set-logic QF_NIA)
(set-info :status unsat)
(declare-const before Int)
(declare-const f Int)
(declare-const i Int)
(declare-const k Int)
(declare-const m Int)
(declare-const phi Int)
(declare-const u Int)
; the goal, negated
(assert (not (= (and (and (= f phi) (= i (- (+ m u) before))) (and (<= 0 u) (< u k))) (and (and (= f phi) (= (+ i 1) (- (+ (+ m 1) u) before))) (and (<= 0 u) (< u k))))))
(check-sat)
(exit)
