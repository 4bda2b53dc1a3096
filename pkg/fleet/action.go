package fleet

// ActionType is what an action does, in the imperative.
type ActionType string

// The five actions, in apply order.
const (
	EnrollNode               ActionType = "EnrollNode"
	IssueCredential          ActionType = "IssueCredential"
	DecommissionNode         ActionType = "DecommissionNode"
	DisableStrictEnforcement ActionType = "DisableStrictEnforcement"
	EnableStrictEnforcement  ActionType = "EnableStrictEnforcement"
)

// ActionTypes lists the five in apply order.
var ActionTypes = [...]ActionType{
	EnrollNode, IssueCredential, DecommissionNode, DisableStrictEnforcement, EnableStrictEnforcement,
}

// Phase is the place of an action type in the apply order, 1 to 5. Every
// action of a phase has an outcome before one of a later phase of the same
// plan begins.
type Phase int

// Phase of an unknown type is 0.
func (t ActionType) Phase() Phase {
	for i, known := range ActionTypes {
		if t == known {
			return Phase(i + 1)
		}
	}
	return 0
}

// ConcernsNode says whether actions of this type name a node.
func (t ActionType) ConcernsNode() bool {
	return t == EnrollNode || t == IssueCredential || t == DecommissionNode
}

// Action is one step of a plan. Two actions are the same when they compare equal.
type Action struct {
	Type ActionType `json:"type"`
	// ID is the node concerned; empty for the two enforcement actions.
	ID NodeID `json:"id,omitempty"`
}

// Plan is what is to be done, in apply order. The zero Plan means that
// desired and observed state agree.
type Plan struct {
	Actions []Action `json:"actions"`
}

// Empty says that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Actions) == 0 }

// Counts returns how many actions of each type the plan holds.
func (p Plan) Counts() map[ActionType]int {
	counts := make(map[ActionType]int)
	for _, a := range p.Actions {
		counts[a.Type]++
	}
	return counts
}

// Has says whether the plan asks for action a.
func (p Plan) Has(a Action) bool {
	for _, have := range p.Actions {
		if have == a {
			return true
		}
	}
	return false
}

// ActionID names one attempt at one need, for ever: the same need decided
// again gives the same id.
type ActionID string

// PlanID names a published plan; it follows from the ids of its actions.
type PlanID string

// Reason is a stable, documented word for why something was held or refused.
type Reason string

// Held is an action that a plan wants but that is not published now.
type Held struct {
	Action
	Reason Reason `json:"reason"`
	// Detail is one sentence for a person, such as until when or by whom.
	Detail string `json:"detail,omitempty"`
}
