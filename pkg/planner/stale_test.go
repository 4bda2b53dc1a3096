package planner

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// stalled is a log that delivers only so much, although it has more.
type stalled struct {
	eventlog.Log
	upTo uint64
}

func (l stalled) Follow(ctx context.Context, after uint64) (eventlog.Cursor, error) {
	return arriving(l).Follow(ctx, after)
}

const (
	ghostly = "trust_domain: fleet.example\nquorum: {width: 1}\nregions: [{name: nyc, nodes: [{id: n1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}]}]\n"
	strict  = ghostly + "enforcement: {require_sig: true}\n"
)

// The fence of a plan tells of other plans only. What a view does not know yet
// of nodes and inventories must not lead to what cannot be taken back.
func TestWhatCannotBeTakenBackIsNotDecidedOnAViewThatHasStalled(t *testing.T) {
	for does, c := range map[string]struct {
		text   string
		ghost  bool
		behind func(*testing.T, eventlog.Log)
	}{
		"a removal, and the node is desired again": {ghostly, true, func(t *testing.T, log eventlog.Log) {
			add(t, log, events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: "sha256:other", Generation: 2, Actor: "test"})
		}},
		"the flip, and a node is lost": {strict, false, func(t *testing.T, log eventlog.Log) {
			add(t, log, events.TypeNodeLost, "n1", &events.NodeLost{Epoch: 1, Reason: LostLeaseExpired})
		}},
	} {
		t.Run(does, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := eventlog.NewMemory(events.DefaultSubjects(), nil)
				signing(t, log, c.text)
				if c.ghost {
					add(t, log, events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"})
				}
				seen, _ := log.Last(t.Context())
				c.behind(t, log)
				before, _ := log.Last(t.Context())

				p := stepOn(t, stalled{log, seen}, c.text)
				if end, _ := log.Last(t.Context()); end != before {
					records, _ := log.Read(t.Context(), before, 10)
					t.Errorf("published on a stalled view: %v", records[len(records)-1].Event.Type)
				}
				if err := p.Trouble(); err == nil || !strings.Contains(err.Error(), "catch up before deciding") {
					t.Errorf("the trouble is %v", err)
				}

				// The same on a view that follows is published: it is the stall that held it.
				whole := eventlog.NewMemory(events.DefaultSubjects(), nil)
				signing(t, whole, c.text)
				if c.ghost {
					add(t, whole, events.TypeNodeAppeared, "ghost", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"})
				}
				stepOn(t, stalled{whole, seen}, c.text)
				if end, _ := whole.Last(t.Context()); end != seen+2 {
					t.Errorf("on a view that follows, the log ends at %d, want %d", end, seen+2)
				}
			})
		})
	}
}

// signing is a log with one desired node, present and able to sign.
func signing(t *testing.T, log eventlog.Log, text string) {
	t.Helper()
	add(t, log, events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: inventory.Digest([]byte(text)), Generation: 1, Actor: "test"})
	add(t, log, events.TypeNodeAppeared, "n1", &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "k"})
	add(t, log, events.TypeCredentialIssued, "n1", &events.CredentialIssued{Epoch: 1, Action: "a", Serial: "ab", Nonce: "n", KeyFingerprint: "k", NotAfter: time.Now().Add(time.Hour)})
	add(t, log, events.TypeCredentialProved, "n1", &events.CredentialProved{Epoch: 1, Serial: "ab", Nonce: "n"})
}

// stepOn lets a planner that is warm take one step on what its view has.
func stepOn(t *testing.T, log stalled, text string) *Planner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := view.New(log)
	p, err := New(Config{
		Log: log.Log, View: v, Inventories: view.NewInventories(func(context.Context, string) ([]byte, error) { return []byte(text), nil }),
		Sightings: noSightings{}, Statements: noStatements{}, Lease: time.Second, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	synctest.Wait()
	p.sensor.caughtUp, p.sensor.warm = true, true
	_, err = p.decideNow(ctx)
	if err := p.tolerate(ctx, err); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	return p
}
