package search

// Guard is one of the rules that keep the promises.
type Guard int

// The guards. Removing any one of them breaks a promise.
const (
	// AllGuards takes none out.
	AllGuards Guard = iota
	// PlanFence: a plan is stored only if no plan came since it was decided.
	PlanFence
	// WholePlan: a planner does not decide on a fold that ends inside a plan.
	WholePlan
	// AtomicBatch: a plan is stored whole or not at all.
	AtomicBatch
	// DecideAgain: the executor asks Reconcile before it runs a handler.
	DecideAgain
	// ConditionalFlip: enforcement.enabled is stored only on the very log that
	// it was decided on.
	ConditionalFlip
	// RecordedRefusal: a refusal is an outcome on the log.
	RecordedRefusal
	// OutcomeFence: an outcome is stored only if there is none.
	OutcomeFence
	// PhaseBarrier: an action waits for the earlier phases of its plan.
	PhaseBarrier
	// PlannerHold: a planner publishes only what Hold allows.
	PlannerHold
	// ExecutorHold: an executor asks Hold again before it begins.
	ExecutorHold
)

// Guards lists all that can be taken out.
var Guards = [...]Guard{
	PlanFence, WholePlan, AtomicBatch, DecideAgain, ConditionalFlip, RecordedRefusal, OutcomeFence, PhaseBarrier,
	PlannerHold, ExecutorHold,
}

func (g Guard) String() string {
	return [...]string{
		"all guards", "plan fence", "whole plan", "atomic batch", "decide again", "conditional flip",
		"recorded refusal", "outcome compare-and-set", "phase barrier", "planner hold", "executor hold",
	}[g]
}
