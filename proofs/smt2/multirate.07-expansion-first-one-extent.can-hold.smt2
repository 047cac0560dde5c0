; multirate: expansion first: one extent: the givens can hold together
(set-logic QF_NIA)
(set-info :status sat)
(check-sat)
(exit)
