package events

import (
	"crypto/sha256"
	"encoding/base64"
	"math/bits"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// checkData checks the data for what the rest of the program relies on, and
// against the attributes. What only describes is left to the schemas.
func checkData(e *Event) error {
	switch d := e.Data.(type) {
	case *InventoryApplied:
		return need(d.Digest != "" && d.Generation > 0, "an inventory needs a digest and a generation from 1")
	case *NodeRemoved:
		return checkAction(d.Action)
	case *CredentialIssued:
		if err := need(d.Serial != "" && d.Nonce != "", "a credential needs a serial and a nonce"); err != nil {
			return err
		}
		return checkIssue(d)
	case *CredentialRevoked:
		return need(d.Action == "" || isID(string(d.Action)), "action %q is not a legal id", d.Action)
	case *EnforcementEnabled:
		return checkAction(d.Action)
	case *EnforcementDisabled:
		return checkAction(d.Action)
	case *PlanDecided:
		return checkPlan(d)
	case *PartitionApplied:
		return checkPartition(d.Partition)
	case *PlanApproved:
		return need(isID(string(d.Approval)) && d.Basis > 0, "approval %q is not a legal id, or has no basis", d.Approval)
	case *ControlPaused:
		return checkTarget(d.Target, e.Node)
	case *ControlResumed:
		return checkTarget(d.Target, e.Node)
	case *MessageRefused:
		return checkRefused(d, e.Node)
	case *CheckpointSigned:
		return checkCheckpoint(d)
	case *RotationRequested:
		if err := need(d.RatePerSecond > 0 && d.RatePerSecond <= MaxRotationRate, "rate_per_second is %v, not above 0 and at most %d", d.RatePerSecond, MaxRotationRate); err != nil {
			return err
		}
		return checkTarget(d.Target, e.Node)
	case *RetryRequested:
		return checkRequest(d.request(), e.Node)
	case *RefusalReported:
		return checkReport(d)
	case *RenewalRequested:
		return need(d.Serial != "" && d.CSRPEM != "" && d.Nonce != "", "a renewal needs a serial, a certificate request and a nonce")
	case *ActionRequested:
		if want := TypeOfAction(d.Type); want != e.Type {
			return refuse(ReasonBadData, "data of %s asks for %q", e.Type, d.Type)
		}
		return checkRequest(d, e.Node)
	case *TrustRotationRequested:
		return checkStep(d.Step)
	case *TrustRotationHeld:
		return need(checkStep(d.Step) == nil && len(d.Nodes) <= MaxWaitListed && d.NodesTotal >= len(d.Nodes),
			"step %q waits for %d nodes, of which %d are listed", d.Step, d.NodesTotal, len(d.Nodes))
	case *Heartbeat:
		return checkHeartbeat(e, d)
	case *CommandAnswered:
		return checkAnswer(e, d)
	}
	return checkOutcome(e)
}

// checkIssue checks that a credential says why it was issued.
func checkIssue(d *CredentialIssued) error {
	if d.Renews != "" {
		return need(d.Action == "", "action %q issued a renewal", d.Action)
	}
	return checkAction(d.Action)
}

// checkAnswer lets an executor speak, too, where it refuses a request.
func checkAnswer(e *Event, d *CommandAnswered) error {
	if e.Source == SourceExecutor {
		refused, taken := d.Error != "" && d.Reason != "" && !d.Taken, d.Error == "" && d.Reason == "" && d.Taken
		return need(refused || taken, "a refusal needs an error and a reason, and a report that was taken has neither")
	}
	if d.Taken {
		return refuse(ReasonBadData, "only an executor takes reports")
	}
	return checkSpeaker(e)
}

// MaxRotationRate is the highest rate of a rotation, in nodes a second.
const MaxRotationRate = 1000

func checkOutcome(e *Event) error {
	switch d := e.Data.(type) {
	case *ActionSucceeded:
		if d.DurationMS < 0 {
			return refuse(ReasonBadData, "duration_ms is %d", d.DurationMS)
		}
		return checkDone(d.Type, d.ID, d.Action, e.Node)
	case *ActionFailed:
		if d.DurationMS < 0 || d.Reason == "" {
			return refuse(ReasonBadData, "duration_ms is %d, reason is %q", d.DurationMS, d.Reason)
		}
		return checkDone(d.Type, d.ID, d.Action, e.Node)
	case *ActionRefused:
		if d.Reason == "" {
			return refuse(ReasonBadData, "reason is empty")
		}
		return checkDone(d.Type, d.ID, d.Action, e.Node)
	}
	return nil
}

func checkDone(t fleet.ActionType, id fleet.NodeID, action fleet.ActionID, subject fleet.NodeID) error {
	if err := checkConcern(t, id); err != nil {
		return err
	}
	if id != subject {
		return refuse(ReasonBadData, "id is %q, but the subject is %q", id, subject)
	}
	return checkAction(action)
}

func checkRequest(d *ActionRequested, subject fleet.NodeID) error {
	if d.Attempt < 1 {
		return refuse(ReasonBadData, "attempt is %d, but attempts count from 1", d.Attempt)
	}
	return checkDone(d.Type, d.ID, d.Action, subject)
}

// checkConcern checks that exactly the actions on a node name one.
func checkConcern(t fleet.ActionType, id fleet.NodeID) error {
	if t.Phase() == 0 {
		return refuse(ReasonBadData, "action type %q is unknown", t)
	}
	if !t.ConcernsNode() {
		return need(id == "", "%s names the node %q", t, id)
	}
	if _, err := fleet.ParseNodeID(string(id)); err != nil {
		return refuse(ReasonBadData, "%s: %v", t, err)
	}
	return nil
}

func checkAction(id fleet.ActionID) error {
	if !isID(string(id)) {
		return refuse(ReasonBadData, "action %q is not a legal id", id)
	}
	return nil
}

func checkPlan(d *PlanDecided) error {
	if !isID(string(d.Plan)) {
		return refuse(ReasonBadData, "plan %q is not a legal id", d.Plan)
	}
	if err := checkPlanShard(d); err != nil {
		return err
	}
	if len(d.Held) > MaxHeldListed || d.HeldTotal < len(d.Held) {
		return refuse(ReasonBadData, "%d held actions are listed of %d", len(d.Held), d.HeldTotal)
	}
	for i := range d.Actions {
		if err := checkRequest(&d.Actions[i], d.Actions[i].ID); err != nil {
			return err
		}
	}
	for _, h := range d.Held {
		if err := checkConcern(h.Type, h.ID); err != nil {
			return err
		}
	}
	return nil
}

// checkTarget checks that a target is valid, and that a node it names is the subject.
func checkTarget(t fleet.Target, subject fleet.NodeID) error {
	if !t.Valid() || t.ID != subject {
		return refuse(ReasonBadData, "scope is %q, region %q, id %q, and the subject %q", t.Scope, t.Region, t.ID, subject)
	}
	return nil
}

func checkStep(s RotationStep) error {
	switch s {
	case RotationPrepare, RotationActivate, RotationRetire:
		return nil
	}
	return refuse(ReasonBadData, "step %q is unknown", s)
}

func checkRefused(d *MessageRefused, subject fleet.NodeID) error {
	if d.Node != subject {
		return refuse(ReasonBadData, "node is %q, but the subject is %q", d.Node, subject)
	}
	return need(d.Channel != "" && d.Reason != "" && d.Count > 0 && len(d.Detail) <= MaxRefusalDetail,
		"a refusal needs a channel, a reason, a count from 1 and a detail of at most %d bytes", MaxRefusalDetail)
}

// checkCheckpoint leaves the note itself to those who verify it.
func checkCheckpoint(d *CheckpointSigned) error {
	if d.Size == 0 || d.Note == "" || len(d.Note) > MaxCheckpointNote || len(d.Frontier) != bits.OnesCount64(d.Size) {
		return refuse(ReasonBadData, "a checkpoint needs a size from 1, a note of at most %d bytes, and a hash for each bit of its size", MaxCheckpointNote)
	}
	for i, h := range d.Frontier {
		if raw, err := base64.StdEncoding.DecodeString(h); err != nil || len(raw) != sha256.Size {
			return refuse(ReasonBadData, "hash %d of the frontier is not base64 of %d bytes", i+1, sha256.Size)
		}
	}
	return nil
}

func checkHeartbeat(e *Event, d *Heartbeat) error {
	if d.LeaseSeconds < MinLeaseSeconds || d.LeaseSeconds > MaxLeaseSeconds {
		return refuse(ReasonBadData, "lease_seconds is %d, not %d to %d", d.LeaseSeconds, MinLeaseSeconds, MaxLeaseSeconds)
	}
	return checkSpeaker(e)
}

// checkSpeaker checks that what a node says of itself names it as the source.
func checkSpeaker(e *Event) error {
	if want := NodeSource(e.Node); e.Source != want {
		return refuse(ReasonWrongIdentity, "source of %s is %q, not %q", e.Type, e.Source, want)
	}
	return nil
}

func need(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return refuse(ReasonBadData, format, args...)
}
