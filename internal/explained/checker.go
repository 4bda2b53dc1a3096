package explained

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

type checker struct {
	*told
	x     explain.Explanation
	wrong []string
}

func (c *checker) demand(holds bool, format string, args ...any) {
	if !holds {
		c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
	}
}

// is demands that a record of that type stands at a sequence.
func (c *checker) is(seq uint64, want events.Type, where string) {
	if seq == 0 || seq > uint64(len(c.records)) {
		c.demand(false, "%s: there is no record %d", where, seq)
		return
	}
	have := events.Type("")
	if e := c.records[seq-1].Event; e != nil {
		have = e.Type
	}
	c.demand(have == want, "%s: record %d is %q and not %q", where, seq, have, want)
}

func (c *checker) causes(list []explain.Cause, before uint64) {
	for _, cause := range list {
		c.is(cause.Sequence, cause.Type, "cause")
		c.demand(cause.Sequence < before, "%d is because of %d, which came later", before, cause.Sequence)
	}
}

// sequences: every record that is named exists and is of the type that is named.
func (c *checker) sequences() {
	x := c.x
	c.demand(x.Sequence == uint64(len(c.records)), "the log ends at %d", x.Sequence)
	for i, s := range x.Steps {
		c.is(s.Sequence, s.Type, "step")
		c.demand(i == 0 || x.Steps[i-1].Sequence < s.Sequence, "step %d is not in order", s.Sequence)
		if s.Sequence == 0 || s.Sequence > uint64(len(c.records)) {
			continue
		}
		c.demand(s.Time.Equal(c.records[s.Sequence-1].Time), "step %d has the time %s", s.Sequence, s.Time)
		c.causes(s.Because, s.Sequence)
		if s.Again > 0 {
			c.is(s.LastAgain, s.Type, "again")
		}
	}
	if inv := x.Inventory; inv != nil {
		c.is(inv.Sequence, events.TypeInventoryApplied, "inventory")
	}
	c.demand((x.Inventory != nil) == (c.state.Inventory().Generation > 0), "inventory %+v", x.Inventory)
}

// truth: what holds since a record holds behind it and ever since, and did not
// just before.
func (c *checker) truth(what string, t explain.Truth, believed func(belief) bool) {
	end := len(c.believed) - 1
	c.demand(t.Is == believed(c.believed[end]), "%s is %v", what, t.Is)
	if t.Since > 0 {
		c.is(t.Since, t.By, what)
		c.demand(believed(c.believed[t.Since-1]) != t.Is, "%s was %v before %d already", what, t.Is, t.Since)
	}
	for k := int(t.Since); k <= end; k++ {
		c.demand(believed(c.believed[k]) == t.Is, "%s is said to be %v since %d, and is not at %d", what, t.Is, t.Since, k)
	}
}

func (c *checker) node() {
	n, id := c.x.Node, c.x.Subject.Node
	of := func(field func(beliefOfNode) bool) func(belief) bool {
		return func(b belief) bool { return field(b.nodes[id]) }
	}
	c.truth("desired", n.Desired, of(func(b beliefOfNode) bool { return b.desired }))
	c.truth("observed", n.Observed, of(func(b beliefOfNode) bool { return b.observed }))
	c.truth("present", n.Present, of(func(b beliefOfNode) bool { return b.present }))
	c.truth("can sign", n.CanSign, of(func(b beliefOfNode) bool { return b.canSign }))
	c.demand(n.Epoch == c.state.Ledger().Epoch(id), "epoch %d", n.Epoch)
	c.demand((n.Absence == "") == n.Present.Is && (n.Unsigned == "") == n.CanSign.Is, "absence %q, unsigned %q", n.Absence, n.Unsigned)
	c.why(id, n.Absence, n.Unsigned, n.Challenge)
	c.nothing(id)
	c.complete(id)
}

// why: the words for an absence and for what is missing to sign are those that
// the records of the node tell, read backwards.
func (c *checker) why(id fleet.NodeID, absence, unsigned explain.Why, challenge uint64) {
	n, known := c.state.Node(id)
	lives := len(c.removals(id))
	switch {
	case known && n.Lost:
		c.demand(absence == explain.WhyLost, "%s is lost, and is said to be %q", id, absence)
	case known && !n.Present:
		c.demand(absence == explain.WhyLeft, "%s has left, and is said to be %q", id, absence)
	case !known && lives > 0:
		c.demand(absence == explain.WhyRemoved && unsigned == explain.WhyRemoved, "%s was removed, and is said to be %q", id, absence)
	case !known:
		c.demand(absence == explain.WhyNeverSeen && unsigned == explain.WhyNeverIssued, "%s was never seen, and is said to be %q", id, absence)
	}
	if challenge > 0 {
		c.is(challenge, events.TypeCredentialIssued, "challenge")
		c.demand(n.Issued != nil && n.Issued != n.Proved && n.Issued.Sequence == challenge, "%s has no challenge at %d", id, challenge)
	}
	if known && n.Proved == nil {
		c.demand((unsigned == explain.WhyNotProved) == (n.Issued != nil), "%s has issued %v, and is said to be %q", id, n.Issued, unsigned)
	}
	if want := map[explain.Why]events.Type{
		explain.WhyExpired: events.TypeCredentialExpired, explain.WhyRevoked: events.TypeCredentialRevoked, explain.WhyKeyChanged: events.TypeNodeAppeared,
	}[unsigned]; want != "" {
		c.demand(slices.ContainsFunc(c.records, func(r eventlog.Record) bool { return r.Event != nil && r.Event.Node == id && r.Event.Type == want }),
			"%s is said to be %q, and no record says so", id, unsigned)
	}
}

func (c *checker) removals(id fleet.NodeID) (at []int) {
	for k := 1; k < len(c.believed); k++ {
		if c.believed[k-1].nodes[id].observed && !c.believed[k].nodes[id].observed {
			at = append(at, k)
		}
	}
	return at
}

// nothing: when the plan wants nothing of a node and nothing is in flight for it,
// there is nothing to do.
func (c *checker) nothing(id fleet.NodeID) {
	inv := c.inForce()
	wanted := inv != nil && slices.ContainsFunc(engine.Reconcile(inv, c.state.Observed()).Actions, func(a fleet.Action) bool { return a.ID == id })
	_, _, busy := c.state.Ledger().InFlight(id)
	unreadable := inv == nil && c.x.Inventory != nil
	said := strings.HasPrefix(c.x.Verdict, "nothing ")
	c.demand(unreadable || said == (!wanted && !busy), "wanted %v, in flight %v: %q", wanted, busy, c.x.Verdict)
	c.demand(!unreadable || strings.Contains(c.x.Verdict, "cannot be told"), "unreadable: %q", c.x.Verdict)
}

// complete: no record changes the node without being a step.
func (c *checker) complete(id fleet.NodeID) {
	for k := 1; k < len(c.believed) && c.x.Omitted == 0; k++ {
		if c.believed[k-1].nodes[id] != c.believed[k].nodes[id] {
			c.demand(slices.ContainsFunc(c.x.Steps, func(s explain.Step) bool { return s.Sequence == uint64(k) && len(s.Changed) > 0 }),
				"record %d changed %s, and is no step that says so", k, id)
		}
	}
}

// steps: what a step says to have changed has, and from and to what it says.
func (c *checker) steps() {
	id := c.x.Subject.Node
	word := map[bool]string{true: "yes", false: "no"}
	for _, s := range c.x.Steps {
		for _, changed := range s.Changed {
			for k, said := range []string{changed.From, changed.To} {
				b := c.believed[int(s.Sequence)-1+k]
				n, have := b.nodes[id], ""
				switch changed.What {
				case "observed":
					have = word[n.observed]
				case "present":
					have = word[n.present]
				case "can sign":
					have = word[n.canSign]
				case "epoch":
					have = fmt.Sprint(max(n.epoch, c.epochAt(id, int(s.Sequence)-1+k)))
				case "strict":
					have = word[b.strict]
				case "wanted":
					have = word[b.wanted]
				case "nodes in the way":
					have = fmt.Sprint(b.unready)
				case "desired":
					c.demand((said != "no") == n.desired, "%d: desired is said to be %q", s.Sequence, said)
					continue
				default:
					continue
				}
				c.demand(said == have, "%d: %s is said to be %q and is %q", s.Sequence, changed.What, said, have)
			}
		}
		c.ignored(s)
	}
}

// epochAt counts the removals up to a sequence.
func (c *checker) epochAt(id fleet.NodeID, k int) uint64 {
	epoch := uint64(1)
	for _, at := range c.removals(id) {
		if at <= k {
			epoch++
		}
	}
	return epoch
}

// ignored: a step that counted for nothing changed nothing.
func (c *checker) ignored(s explain.Step) {
	if s.Ignored {
		same := cmp.Equal(c.believed[s.Sequence-1], c.believed[s.Sequence], cmp.AllowUnexported(belief{}, beliefOfNode{}))
		c.demand(same && len(s.Changed) == 0, "%d is said to count for nothing", s.Sequence)
	}
}
