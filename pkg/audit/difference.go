package audit

import (
	"cmp"
	"fmt"
	"slices"
)

// What names what is wrong. The names are stable.
type What string

// What may differ from what the log should say. WhatBatch to WhatFlip are the rules of
// pkg/history.
const (
	// WhatSequence: one is missing. Nothing behind it can be folded.
	WhatSequence What = "sequence"
	// WhatFile: a file is not the one that was exported. Nothing behind that place
	// can be believed.
	WhatFile What = "file"
	// WhatEvent: the message is no event of the log, so nothing of it can be proved.
	WhatEvent What = "event"
	// WhatInventory: a plan was decided with another than the one in force, or the text
	// is not there or cannot be read.
	WhatInventory What = "inventory"
	// WhatRuleVersion: this build does not know the rule that a plan names.
	WhatRuleVersion What = "rule_version"
	// WhatBasis: a plan names a basis that it cannot have been decided on.
	WhatBasis What = "basis"
	// WhatPartition: a plan says that it was decided under another partition than was
	// in force on its basis, or is of a shard that this does not have.
	WhatPartition What = "partition"
	// WhatThresholds: those that a plan records are out of their ranges.
	WhatThresholds What = "thresholds"
	// WhatPlan is the id of a plan, WhatActions what it publishes, WhatHeld and WhatHeldTotal what it
	// holds: each as decided again at its basis.
	WhatPlan      What = "plan"
	WhatActions   What = "actions"
	WhatHeld      What = "held"
	WhatHeldTotal What = "held_total"

	WhatBatch   What = "batch"
	WhatOnce    What = "once"
	WhatOutcome What = "outcome"
	WhatPhase   What = "phase"
	WhatFlip    What = "flip"
	// WhatProof: credential.proved does not answer the challenge, or its signature,
	// certificate or issuer did not hold at that time.
	WhatProof What = "proof"
	// WhatTrust: the certificate of an issuer is not what the fact says, not signed by
	// whom it says, or took over or was retired too early.
	WhatTrust What = "trust"
	// WhatCheckpoint: the log is not the one that a checkpoint stands for.
	WhatCheckpoint What = "checkpoint"
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
