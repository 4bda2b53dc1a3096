package engine

// RuleVersion names the rule that Reconcile follows. It is recorded in every
// plan.decided, so that an audit knows which rule to decide again with. It
// changes when, and only when, Reconcile answers differently for some input.
const RuleVersion = "1"
