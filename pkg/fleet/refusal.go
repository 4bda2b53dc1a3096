package fleet

import "errors"

// Refusal is the error for something from outside that is not accepted. It
// harms nobody: the caller counts it by its Reason and goes on.
type Refusal struct {
	// Reason is a constant of the package that refused; stable, since it is
	// written to logs, metrics and the log of the fleet.
	Reason Reason
	// Detail is one sentence for a person; it may change. It never holds key
	// material.
	Detail string
}

// Error joins reason and detail.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// ReasonOf returns the reason of the Refusal in err's tree, or "" when there is
// none.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}
