; representation-power: a shift by one sample in high resolution: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(check-sat)
(exit)
