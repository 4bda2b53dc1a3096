package planner

import (
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const lease = 10 * time.Second

// scene is a sensor and the fold it looks at, at a passed clock.
type scene struct {
	t   *testing.T
	s   *sensor
	st  *projection.State
	now time.Time
}

func newScene(t *testing.T) *scene {
	return &scene{t: t, s: newSensor(lease), st: projection.New(), now: dawn}
}

// log appends a fact that others wrote.
func (c *scene) log(typ events.Type, id fleet.NodeID, data events.Payload) {
	c.t.Helper()
	e := &events.Event{Type: typ, Node: id, Data: data}
	change, err := c.st.Apply(c.st.Sequence()+1, c.now, e)
	if err != nil {
		c.t.Fatal(err)
	}
	c.s.folded(c.st, change.Nodes, c.now)
}

func (c *scene) beat(id fleet.NodeID, b events.Heartbeat) {
	c.s.see(eventlog.Sighting{Node: id, Heartbeat: &b, Time: c.now})
}

func (c *scene) leaseEnds(id fleet.NodeID) { c.s.see(eventlog.Sighting{Node: id, Time: c.now}) }

func (c *scene) later(d time.Duration) { c.now = c.now.Add(d) }

// concluded returns the types of the facts that the sensor concludes, and
// folds them, as if the append had succeeded.
func (c *scene) concluded() string {
	entries, _ := c.s.conclude(c.st, c.now)
	var types []string
	for _, e := range entries {
		types = append(types, string(e.Event.Type))
		c.log(e.Event.Type, e.Event.Node, e.Event.Data)
	}
	return strings.Join(types, " ")
}

func (c *scene) want(does, facts string) {
	c.t.Helper()
	if got := c.concluded(); got != facts {
		c.t.Errorf("%s: concluded %q, want %q", does, got, facts)
	}
}

// signing puts a node on the log that is present and has proved serial "s1".
func (c *scene) signing(id fleet.NodeID, notAfter time.Time) {
	c.log(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: "a", KeyFingerprint: "key"})
	c.log(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: 1, Serial: "s1", Nonce: "n", KeyFingerprint: "key", NotAfter: notAfter})
	c.log(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: "s1", Nonce: "n"})
	if !c.st.CanSign(id) {
		c.t.Fatal("the scene's node cannot sign")
	}
}
