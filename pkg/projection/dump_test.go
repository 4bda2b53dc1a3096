package projection_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// tellObserved says what Reconcile would see.
func tellObserved(s *projection.State) string {
	var b strings.Builder
	fmt.Fprintln(&b, word(s.Observed().StrictEnforced, "strict", "permissive"))
	for _, n := range s.Observed().Nodes {
		fmt.Fprintln(&b, n.ID, word(n.Present, "present", "absent"), word(n.CanSign, "signs", "unsigned"))
	}
	return b.String()
}

// tell says what a person would ask of the state: the observed fleet, the
// inventory in force, the actions in flight and what was tried for each need.
func tell(s *projection.State, ids ...fleet.NodeID) string {
	var b strings.Builder
	b.WriteString(tellObserved(s))
	if inv := s.Inventory(); inv.Digest != "" {
		fmt.Fprintf(&b, "inventory %s, generation %d, by %s\n", inv.Digest, inv.Generation, inv.Actor)
	}
	b.WriteString(tellControl(s, ids))
	b.WriteString(tellTrust(s))
	for _, f := range s.Ledger().Flights() {
		fmt.Fprintf(&b, "in flight: %s = %s, attempt %d\n", f.ID, tellNeed(f.Action), f.Attempt)
	}
	for _, need := range needs(ids) {
		if a := s.Ledger().Attempts(need); a != (projection.Attempts{}) {
			fmt.Fprintf(&b, "tried: %s at epoch %d, generation %d: %s\n", tellNeed(need), a.Epoch, a.Generation, tellAttempts(a))
		}
	}
	ignored := s.Ignored()
	for _, t := range slices.Sorted(maps.Keys(ignored)) {
		fmt.Fprintf(&b, "ignored: %s x%d\n", t, ignored[t])
	}
	if s.Unfit() > 0 {
		fmt.Fprintf(&b, "unfit: %d\n", s.Unfit())
	}
	return b.String()
}

// tellControl says what people decided, who is lost and who flaps. The penalty
// is of midnight, when nothing has decayed: it counts the losses.
func tellControl(s *projection.State, ids []fleet.NodeID) string {
	var b strings.Builder
	for _, p := range s.Pauses() {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("paused: %s by %s since %s %s", p.Target, p.Actor, p.Since.Format("15:04:05"), p.Note)))
	}
	for _, r := range s.Rotations() {
		fmt.Fprintf(&b, "to be rotated: %s by %s, what was issued before %d\n", r.Target, r.Actor, r.Sequence)
	}
	for _, id := range ids {
		if r, due := s.RotationDue(id, "nyc"); due {
			fmt.Fprintf(&b, "due for rotation: %s in nyc, because of %s\n", id, r.Target)
		}
	}
	for _, a := range s.Approvals() {
		fmt.Fprintf(&b, "approved: %s by %s on %d\n", a.ID, a.Actor, a.Basis)
	}
	for _, id := range ids {
		if n := s.FlapPenalty(id, midnight, time.Hour); n > 0 {
			fmt.Fprintf(&b, "losses: %s %.0f, %s\n", id, n, word(s.Lost(id), "lost", "not lost"))
		}
		if s.RemovalApproved(id) {
			fmt.Fprintf(&b, "may be removed: %s\n", id)
		}
	}
	return b.String()
}

// tellTrust says who issues, what is wanted of it, and what was revoked.
func tellTrust(s *projection.State) string {
	var b strings.Builder
	for _, i := range s.Issuers() {
		if i.TrustDomain != "" {
			fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("issuer: %s %s %s", i.Fingerprint, word(i.Active, "active", "waits"), i.Region)))
		}
	}
	for _, r := range s.IssuerSteps() {
		fmt.Fprintf(&b, "wanted: %s by %s", strings.TrimSpace(string(r.Step)+" "+r.Region), r.Actor)
		if r.Held != "" {
			fmt.Fprintf(&b, ", held by %s", r.Held)
		}
		fmt.Fprintln(&b)
	}
	for _, r := range s.Revoked() {
		fmt.Fprintf(&b, "revoked: %s of %q at %s until %s\n", r.Serial, r.Issuer, r.At.Format("15:04:05"), r.NotAfter.Format("15:04:05"))
	}
	return b.String()
}

func tellNeed(a fleet.Action) string { return strings.TrimSpace(fmt.Sprintf("%s %s", a.Type, a.ID)) }

func tellAttempts(a projection.Attempts) string {
	text := fmt.Sprintf("%d published, %d failures", a.Published, a.Failures)
	if !a.LastOutcome.IsZero() {
		text += ", last outcome " + a.LastOutcome.Format("15:04:05")
	}
	if a.Retry {
		text += ", to be retried"
	}
	if a.LastRefused {
		text += ", refused"
	}
	if a.LastError != "" {
		text += fmt.Sprintf(" (%s)", a.LastError)
	}
	return text
}

func needs(ids []fleet.NodeID) []fleet.Action {
	list := []fleet.Action{{Type: fleet.DisableStrictEnforcement}, {Type: fleet.EnableStrictEnforcement}}
	for _, id := range ids {
		list = append(list, fleet.Action{Type: fleet.EnrollNode, ID: id},
			fleet.Action{Type: fleet.IssueCredential, ID: id}, fleet.Action{Type: fleet.DecommissionNode, ID: id})
	}
	return list
}

// facts is everything that decisions are made on, without the sequences and
// the counts of what was ignored.
func facts(s *projection.State, ids ...fleet.NodeID) string {
	var b strings.Builder
	b.WriteString(tellObserved(s))
	b.WriteString(tellControl(s, ids))
	fmt.Fprintf(&b, "%+v %q %s %+v\n", s.Inventory(), s.Trust(), s.EnforcementAction(), s.Posture())
	fmt.Fprintf(&b, "%+v %+v %d\n", s.Issuers(), s.IssuerSteps(), s.LastBundle())
	for _, id := range ids {
		n, known := s.Node(id)
		n.Last = 0
		issued, proved := n.Issued, n.Proved
		n.Issued, n.Proved = nil, nil
		fmt.Fprintf(&b, "%s: %v %+v issued %+v proved %+v epoch %d removed %v\n",
			id, known, n, issued, proved, s.Ledger().Epoch(id), s.RemovedAt(id))
		action, kind, busy := s.Ledger().InFlight(id)
		fmt.Fprintf(&b, "%s: %s %s %v\n", id, action, kind, busy)
	}
	fmt.Fprintf(&b, "%+v\n", s.Ledger().Flights())
	for _, need := range needs(ids) {
		fmt.Fprintf(&b, "%v %+v\n", need, s.Ledger().Attempts(need))
	}
	return b.String()
}

// everything is all that a state answers to the questions about these ids.
func everything(s *projection.State, ids ...fleet.NodeID) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d unfit %d ignored %v\n", s.Sequence(), s.Unfit(), s.Ignored())
	fmt.Fprintf(&b, "last %d %d %d %d\n", s.LastPlan(), s.LastEnforcement(), s.LastInventory(), s.LastTrust())
	for _, id := range ids {
		fmt.Fprintf(&b, "last %s %d\n", id, s.LastNode(id))
	}
	return b.String() + facts(s, ids...)
}
