/* What becomes of a gradient: a fastsoftmax.optimizers rule as the leaf loops take it. */
#ifndef FASTSOFTMAX_RULES_STRUCTS_H
#define FASTSOFTMAX_RULES_STRUCTS_H

enum { RULE_ADD, RULE_STORE, RULE_SGD, RULE_ADAGRAD };

typedef struct {
    int kind;          /* RULE_ADD, RULE_STORE: the gradient is added to what is there, or takes its place */
    int state_per_row; /* Adagrad keeps one mean square a row instead of one square an element */
    double learning_rate, epsilon, alpha;
} Rule;

#endif
