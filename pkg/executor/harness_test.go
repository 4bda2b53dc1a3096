package executor_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a fleet in memory, in the fake time of a bubble.
type shop struct {
	*testing.T
	log    *eventlog.Memory
	view   *view.View
	source *recorder
	config executor.Config
	plans  int // published; numbers the attempts

	mu          sync.Mutex
	inventories map[string]*fleet.Inventory
	ended       []executor.Outcome
	stop        context.CancelFunc
	done        chan error
}

// story runs tell in a bubble with a shop whose view is live.
func story(t *testing.T, tell func(s *shop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &shop{T: t, log: eventlog.NewMemory(events.DefaultSubjects(), time.Now), inventories: map[string]*fleet.Inventory{}}
		s.view = view.New(s.log)
		var viewing sync.WaitGroup
		viewing.Go(func() { _ = s.view.Run(ctx) })
		s.config = executor.Config{
			Log: s.log, View: s.view, Inventories: s, Handlers: map[fleet.ActionType]executor.Handler{},
			Logger: zerolog.New(zerolog.NewTestWriter(t)), Observe: s.observe,
		}
		tell(s)
		s.halt()
		cancel()
		viewing.Wait()
	})
}

func (s *shop) Get(_ context.Context, digest string) (*fleet.Inventory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv := s.inventories[digest]; inv != nil {
		return inv, nil
	}
	return nil, fmt.Errorf("no inventory %s", digest)
}

func (s *shop) observe(o executor.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, o)
}

// open starts an executor that finds the log as it is now; halt stops it.
func (s *shop) open() {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	actions, err := executor.FromLog(ctx, s.log)
	if err != nil {
		s.Fatal(err)
	}
	s.source = &recorder{Actions: actions, shop: s}
	s.config.Actions = s.source
	e, err := executor.New(s.config)
	if err != nil {
		s.Fatal(err)
	}
	s.stop, s.done = cancel, make(chan error, 1)
	go func() { s.done <- e.Run(ctx) }()
	synctest.Wait()
}

func (s *shop) halt() {
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.done; err != nil {
		s.Errorf("Run ended with %v", err)
	}
	s.stop = nil
}

func (s *shop) handle(kind fleet.ActionType, h executor.HandlerFunc) { s.config.Handlers[kind] = h }

// append puts facts on the log and lets everything react.
func (s *shop) append(list ...*events.Event) {
	s.Helper()
	entries := make([]eventlog.Entry, len(list))
	for i, e := range list {
		entries[i].Event = e
	}
	if _, err := s.log.Append(s.Context(), entries...); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

func fact(kind events.Type, node fleet.NodeID, data events.Payload) *events.Event {
	return &events.Event{
		ID: events.NewID(string(kind), string(node), fmt.Sprintf("%+v", data)), Source: "fleetfold/test",
		Type: kind, Node: node, Time: time.Now(), Data: data,
	}
}

// want puts an inventory of these nodes into force.
func (s *shop) want(strict bool, nodes ...fleet.NodeID) {
	s.Helper()
	inv := &fleet.Inventory{TrustDomain: "fleet.example", QuorumWidth: 1, RequireSig: strict, Regions: []fleet.Region{{Name: "r"}}}
	for _, id := range nodes {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{
			ID: id, Attestor: fleet.AttestorMTLSCert, CredTTL: time.Hour, RenewBefore: time.Minute,
		})
	}
	s.mu.Lock()
	generation := uint64(len(s.inventories) + 1)
	digest := fmt.Sprintf("sha256:%064x", generation)
	s.inventories[digest] = inv
	s.mu.Unlock()
	s.append(fact(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "test"}))
}

func (s *shop) appear(id fleet.NodeID) {
	s.Helper()
	s.append(fact(events.TypeNodeAppeared, id, appeared()))
}

func appeared() *events.NodeAppeared {
	return &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: fingerprint}
}

const fingerprint = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// sign makes a present node able to sign.
func (s *shop) sign(id fleet.NodeID) {
	s.Helper()
	proved := fact(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: nonce})
	proved.DSSEMaterial = []byte("{}")
	s.append(fact(events.TypeCredentialIssued, id, &events.CredentialIssued{
		Epoch: 1, Action: "issue-x", Serial: serial, Nonce: nonce, KeyFingerprint: fingerprint,
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), CertificatePEM: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
	}), proved)
}

const (
	serial = "00112233445566778899aabbccddeeff"
	nonce  = "ffeeddccbbaa99887766554433221100"
)

// publish puts a plan of these actions on the log. The id of an action is its
// plan and its place, such as p1-2.
func (s *shop) publish(plan fleet.PlanID, actions ...fleet.Action) {
	s.Helper()
	s.plans++
	basis, err := s.log.Last(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	decided := &events.PlanDecided{
		Plan: plan, Basis: basis, Generation: 1, RuleVersion: "1", DecidedAt: time.Now(), InventoryDigest: fmt.Sprintf("sha256:%064x", 1),
		Policy: events.DispatchPolicy{MaxInFlight: 256, BackoffBaseSeconds: 1, BackoffCapSeconds: 300, Jitter: 0.2},
	}
	batch := []*events.Event{fact(events.TypePlanDecided, "", decided)}
	for i, a := range actions {
		request := events.ActionRequested{
			Type: a.Type, ID: a.ID, Action: fleet.ActionID(fmt.Sprintf("%s-%d", plan, i+1)), Attempt: s.plans, Epoch: 1, Generation: 1,
		}
		decided.Actions = append(decided.Actions, request)
		e := fact(events.TypeOfAction(a.Type), a.ID, &request)
		e.Step = &events.Step{Plan: plan, Step: i + 1, Steps: len(actions), Basis: basis}
		batch = append(batch, e)
	}
	s.append(batch...)
}

// outcomes lists the outcomes on the log, in order: action, word and reason.
func (s *shop) outcomes() (list []string) {
	s.Helper()
	records, err := s.log.Read(s.Context(), 0, 1000)
	if err != nil {
		s.Fatal(err)
	}
	for _, r := range records {
		if r.Event == nil {
			continue
		}
		switch d := r.Event.Data.(type) {
		case *events.ActionSucceeded:
			list = append(list, string(d.Action)+" succeeded")
		case *events.ActionFailed:
			list = append(list, fmt.Sprintf("%s failed %s: %s", d.Action, d.Reason, d.Detail))
		case *events.ActionRefused:
			list = append(list, fmt.Sprintf("%s refused: %s", d.Action, d.Detail))
		}
	}
	return list
}

func (s *shop) state(read func(*projection.State)) { s.view.Read(read) }

func enroll(id fleet.NodeID) fleet.Action { return fleet.Action{Type: fleet.EnrollNode, ID: id} }
func issue(id fleet.NodeID) fleet.Action  { return fleet.Action{Type: fleet.IssueCredential, ID: id} }
func remove(id fleet.NodeID) fleet.Action { return fleet.Action{Type: fleet.DecommissionNode, ID: id} }

var enable = fleet.Action{Type: fleet.EnableStrictEnforcement}

// recorder notes what the executor does with its deliveries.
type recorder struct {
	executor.Actions
	shop *shop

	mu       sync.Mutex
	acked    []uint64
	asked    map[uint64]int
	returned []uint64
}

func (r *recorder) Next(ctx context.Context) (eventlog.Delivery, error) {
	d, err := r.Actions.Next(ctx)
	seq := d.Record.Sequence
	d.Ack = func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.acked = append(r.acked, seq)
		return nil
	}
	d.InProgress = func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.asked == nil {
			r.asked = map[uint64]int{}
		}
		r.asked[seq]++
		return nil
	}
	retry := d.Retry
	d.Retry = func(delay time.Duration) error {
		r.mu.Lock()
		r.returned = append(r.returned, seq)
		r.mu.Unlock()
		return retry(delay)
	}
	return d, err
}

func (r *recorder) counts() (acked, returned int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.acked), len(r.returned)
}

// runs notes the order in which handlers start, and lets the story end them.
type runs struct {
	mu      sync.Mutex
	started []fleet.ActionID
	gates   map[fleet.ActionID]chan error
}

func newRuns() *runs { return &runs{gates: map[fleet.ActionID]chan error{}} }

func (r *runs) Handle(ctx context.Context, t executor.Task) (executor.Result, error) {
	r.mu.Lock()
	r.started = append(r.started, t.Flight.ID)
	gate := make(chan error, 1)
	r.gates[t.Flight.ID] = gate
	r.mu.Unlock()
	select {
	case err := <-gate:
		return executor.Result{}, err
	case <-ctx.Done():
		return executor.Result{}, ctx.Err()
	}
}

// end lets the run of an action return err.
func (r *runs) end(id fleet.ActionID, err error) {
	r.mu.Lock()
	r.gates[id] <- err
	r.mu.Unlock()
	synctest.Wait()
}

// sorted is for runs that began side by side, in whatever order.
func (r *runs) sorted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(slices.Sorted(slices.Values(r.started)))
}

func (r *runs) order() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.started)
}
