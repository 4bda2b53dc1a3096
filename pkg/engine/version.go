package engine

// RuleVersion names the rule by which Reconcile, Hold and Dispatch decide. It is
// recorded in every plan.decided, so that an audit knows which rule to decide
// again with. It changes when, and only when, one of them answers differently for
// some input, the ids and the details of what is held included; the rule of
// before then stays under its own version, see decide.RuleFor.
const RuleVersion = "1"
