# The rules of fastsoftmax.optimizers, as the leaf loops take them: see rules/update.h.
from leaves.structs cimport RULE_ADAGRAD, RULE_ADD, RULE_SGD, Rule


cdef inline Rule read_rule(rule, bint state_per_row) except *:
    """The C view of a rule of fastsoftmax.optimizers; with None, gradients are added to what is there."""
    cdef Rule r
    r.kind, r.state_per_row = RULE_ADD, state_per_row
    r.learning_rate, r.epsilon, r.alpha = 0, 0, 0
    if rule is not None:
        r.kind = {"sgd": RULE_SGD, "adagrad": RULE_ADAGRAD}[rule.kind]
        r.learning_rate, r.epsilon, r.alpha = rule.learning_rate, rule.epsilon, rule.alpha
    return r
