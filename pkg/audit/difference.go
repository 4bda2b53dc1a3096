package audit

import (
	"cmp"
	"fmt"
	"slices"
)

// What names what is wrong. The names are stable.
type What string

// What may differ from what the log should say. Batch to Flip are the rules of
// pkg/history.
const (
	// Sequence: one is missing. Nothing behind it can be folded.
	Sequence What = "sequence"
	// Event: the message is no event of the log, so nothing of it can be proved.
	Event What = "event"
	// Inventory: a plan was decided with another than the one in force, or the text
	// is not there or cannot be read.
	Inventory What = "inventory"
	// RuleVersion: this build does not know the rule that a plan names.
	RuleVersion What = "rule_version"
	// Basis: a plan names a basis that it cannot have been decided on.
	Basis What = "basis"
	// Thresholds: those that a plan records are out of their ranges.
	Thresholds What = "thresholds"
	// Plan is the id of a plan, Actions what it publishes, Held and HeldTotal what it
	// holds: each as decided again at its basis.
	Plan      What = "plan"
	Actions   What = "actions"
	Held      What = "held"
	HeldTotal What = "held_total"

	Batch   What = "batch"
	Once    What = "once"
	Outcome What = "outcome"
	Phase   What = "phase"
	Flip    What = "flip"
	// Proof: credential.proved does not answer the challenge, or its signature,
	// certificate or issuer did not hold at that time.
	Proof What = "proof"
	// Trust: the certificate of an issuer is not what the fact says, not signed by
	// whom it says, or took over or was retired too early.
	Trust What = "trust"
	// Checkpoint: the log is not the one that a checkpoint stands for.
	Checkpoint What = "checkpoint"
)

// Difference is one place at which the log is not what it should be.
type Difference struct {
	Sequence uint64 `json:"sequence"`
	What     What   `json:"what"`
	// Expected and Found are for a person.
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

func (d Difference) String() string {
	return fmt.Sprintf("sequence %d, %s: expected %s, found %s", d.Sequence, d.What, d.Expected, d.Found)
}

// inOrder sorts by sequence, and leaves those of one sequence as they were found.
func inOrder(all []Difference) {
	slices.SortStableFunc(all, func(a, b Difference) int { return cmp.Compare(a.Sequence, b.Sequence) })
}
