; cutoff: convolution repeats: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(check-sat)
(exit)
