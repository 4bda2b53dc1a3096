package handlers_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// shop is a fleet in memory with one executor and played agents. The shop also
// plays the planner and the border.
type shop struct {
	*testing.T
	ctx         context.Context
	log         *eventlog.Memory
	view        *view.View
	config      handlers.Config
	inventories map[string]*fleet.Inventory
	vouches     *attest.Local

	mu       sync.Mutex
	agents   map[fleet.NodeID]*played
	commands []string
}

// story runs tell in fake time.
func story(t *testing.T, tell func(s *shop)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &shop{
			T: t, ctx: ctx, log: eventlog.NewMemory(events.DefaultSubjects(), time.Now),
			inventories: map[string]*fleet.Inventory{}, agents: map[fleet.NodeID]*played{},
		}
		s.view = view.New(s.log)
		vouches, err := attest.OpenLocal(filepath.Join(dir, "attest"), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.vouches = vouches
		var running sync.WaitGroup
		running.Go(func() { _ = s.view.Run(ctx) })
		s.config = handlers.Config{
			Log: s.log, View: s.view, Inventories: s, Commands: s, CADir: filepath.Join(dir, "ca"), Attest: vouches.Verifiers(),
			Logger: zerolog.New(zerolog.NewTestWriter(t)),
		}
		tell(s)
		cancel()
		running.Wait()
		synctest.Wait()
	})
}

func (s *shop) Get(_ context.Context, digest string) (*fleet.Inventory, error) {
	return s.inventories[digest], nil
}

// open runs an executor with the built-in handlers until the story ends.
func (s *shop) open() {
	s.Helper()
	set, err := handlers.New(s.ctx, s.config)
	if err != nil {
		s.Fatal(err)
	}
	actions, err := executor.FromLog(s.ctx, s.log)
	if err != nil {
		s.Fatal(err)
	}
	e, err := executor.New(executor.Config{
		Log: s.log, View: s.view, Inventories: s, Actions: actions, Handlers: set, Logger: s.config.Logger,
	})
	if err != nil {
		s.Fatal(err)
	}
	go func() {
		if err := e.Run(s.ctx); err != nil {
			s.Error(err)
		}
	}()
	synctest.Wait()
}

func (s *shop) append(kind events.Type, node fleet.NodeID, data events.Payload) {
	e := &events.Event{
		ID: events.NewID(string(kind), string(node), time.Now().String(), fmt.Sprintf("%+v", data)), Source: "fleetfold/test",
		Type: kind, Node: node, Time: time.Now(), Data: data,
	}
	if kind == events.TypeCredentialProved {
		e.DSSEMaterial = []byte("{}")
	}
	if _, err := s.log.Append(s.ctx, eventlog.Entry{Event: e}); err != nil {
		s.Error(err)
	}
}

func (s *shop) want(strict bool, nodes ...fleet.NodeID) {
	inv := &fleet.Inventory{TrustDomain: "fleet.example", QuorumWidth: 1, RequireSig: strict, Regions: []fleet.Region{{Name: "r"}}}
	for _, id := range nodes {
		inv.Regions[0].Nodes = append(inv.Regions[0].Nodes, fleet.Node{
			ID: id, Attestor: fleet.AttestorMTLSCert, CredTTL: time.Hour, RenewBefore: time.Minute,
		})
	}
	generation := uint64(len(s.inventories) + 1)
	digest := fmt.Sprintf("sha256:%064x", generation)
	s.inventories[digest] = inv
	s.append(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "test"})
	synctest.Wait()
}

func (s *shop) publish(id fleet.ActionID, a fleet.Action) {
	plan := fleet.PlanID("plan-" + id)
	request := events.ActionRequested{Type: a.Type, ID: a.ID, Action: id, Attempt: len(s.inventories), Epoch: 1, Generation: 1}
	decided := &events.PlanDecided{
		Plan: plan, Basis: 1, Generation: 1, RuleVersion: "1", DecidedAt: time.Now(), InventoryDigest: fmt.Sprintf("sha256:%064x", 1),
		Policy:  events.DispatchPolicy{MaxInFlight: 256, BackoffBaseSeconds: 1, BackoffCapSeconds: 300, Jitter: 0.2},
		Actions: []events.ActionRequested{request},
	}
	_, err := s.log.Append(s.ctx,
		eventlog.Entry{Event: &events.Event{ID: "d" + string(id), Source: "fleetfold/test", Type: events.TypePlanDecided, Time: time.Now(), Data: decided}},
		eventlog.Entry{Event: &events.Event{
			ID: string(id), Source: "fleetfold/test", Type: events.TypeOfAction(a.Type), Node: a.ID, Time: time.Now(),
			Data: &request, Step: &events.Step{Plan: plan, Step: 1, Steps: 1, Basis: 1},
		}})
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

// history lists the log's facts behind inventory and plans, in a few words.
func (s *shop) history() string {
	records, err := s.log.Read(s.ctx, 0, 1000)
	if err != nil {
		s.Fatal(err)
	}
	var words []string
	for _, r := range records {
		if r.Event.Node == keeper {
			continue
		}
		switch d := r.Event.Data.(type) {
		case *events.InventoryApplied, *events.PlanDecided, *events.ActionRequested:
		case *events.ActionFailed:
			words = append(words, fmt.Sprintf("failed (%s: %s)", d.Reason, d.Detail))
		case *events.ActionRefused:
			words = append(words, "refused ("+d.Detail+")")
		default:
			_, word, _ := strings.Cut(string(r.Event.Type), ".")
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func (s *shop) check(want string) {
	s.Helper()
	synctest.Wait()
	if got := s.history(); got != want {
		s.Errorf("log:  %s\nwant: %s", got, want)
	}
}

// played is an agent whose manners a story chooses.
type played struct {
	key *ecdsa.PrivateKey
	// dir holds the evidence; empty for an agent that has none.
	dir string
	// answer overrides what the agent would say; nil, nil means no override.
	answer func(e *events.Event) (*events.CommandAnswered, error)
	// deaf counts the deliveries that it takes and does not prove.
	deaf int
}

func deaf(times int) func(*played) { return func(p *played) { p.deaf = times } }

// always answers every command alike.
func always(a events.CommandAnswered) func(*played) {
	return func(p *played) {
		p.answer = func(*events.Event) (*events.CommandAnswered, error) { return &a, nil }
	}
}

// agent brings a node up without making it appear.
func (s *shop) agent(id fleet.NodeID, manners ...func(*played)) {
	key, _, err := identity.LoadOrCreateKey(filepath.Join(s.config.CADir, "..", events.Token(id)+".pem"))
	if err != nil {
		s.Fatal(err)
	}
	a := &played{key: key, dir: filepath.Join(s.config.CADir, "..", events.Token(id))}
	if err := s.vouches.Equip(id, a.dir); err != nil {
		s.Fatal(err)
	}
	for _, teach := range manners {
		teach(a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents[id] = a
}

func (s *shop) appear(id fleet.NodeID) {
	s.append(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: s.fingerprint(id)})
	synctest.Wait()
}

// keeper is the node that a fleet keeps: nothing is removed while nobody signs.
const keeper fleet.NodeID = "keeper"

// keep lets the keeper appear and sign. It is not in the history.
func (s *shop) keep() {
	const number = "00112233445566778899aabbccddeeff"
	s.appear(keeper)
	s.append(events.TypeCredentialIssued, keeper, &events.CredentialIssued{
		Epoch: 1, Action: "issue-x", Serial: number, Nonce: number, KeyFingerprint: s.fingerprint(keeper),
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), CertificatePEM: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
	})
	s.append(events.TypeCredentialProved, keeper, &events.CredentialProved{Epoch: 1, Serial: number, Nonce: number})
	synctest.Wait()
}

func (s *shop) fingerprint(id fleet.NodeID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil {
		return "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	}
	text, err := identity.Fingerprint(a.key.Public())
	if err != nil {
		s.Error(err)
	}
	return text
}

// Command makes the shop the bus to its agents. A proof goes straight onto the
// log, as if the border had verified it.
func (s *shop) Command(ctx context.Context, e *events.Event) (*events.Event, error) {
	s.mu.Lock()
	s.commands = append(s.commands, string(e.Type))
	a := s.agents[e.Node]
	s.mu.Unlock()
	if a == nil {
		return nil, fmt.Errorf("command %s: %w", e.Type, eventlog.ErrNoAgent)
	}
	if a.answer != nil {
		if answer, err := a.answer(e); answer != nil || err != nil {
			return reply(answer), err
		}
	}
	switch d := e.Data.(type) {
	case *events.CertificateRequested:
		return a.request(ctx, e.Node, d)
	case *events.CredentialDelivered:
		if a.deaf--; a.deaf < 0 {
			s.append(events.TypeCredentialProved, e.Node, &events.CredentialProved{Epoch: d.Epoch, Serial: d.Serial, Nonce: d.Nonce})
		}
		return reply(&events.CommandAnswered{}), nil
	case *events.NodeStopRequested:
		s.append(events.TypeNodeLeft, e.Node, &events.NodeLeft{Epoch: 1})
		return reply(&events.CommandAnswered{}), nil
	}
	return nil, errors.New("strange command")
}

func (a *played) request(ctx context.Context, id fleet.NodeID, d *events.CertificateRequested) (*events.Event, error) {
	csr, err := identity.NewCSR(a.key)
	if err != nil {
		return nil, err
	}
	fingerprint, err := identity.Fingerprint(a.key.Public())
	if err != nil {
		return nil, err
	}
	evidence, err := attest.ProversIn(a.dir).Prove(ctx, d.Attestor, attest.Challenge{
		TrustDomain: d.TrustDomain, Node: id, Nonce: d.Nonce, CSRPEM: string(csr), KeyFingerprint: fingerprint,
	})
	return reply(&events.CommandAnswered{CSRPEM: string(csr), Evidence: evidence}), err
}

func reply(a *events.CommandAnswered) *events.Event {
	return &events.Event{Type: events.TypeCommandAnswered, Data: a}
}

func (s *shop) commanded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.commands, " ")
}

func enroll(id fleet.NodeID) fleet.Action { return fleet.Action{Type: fleet.EnrollNode, ID: id} }
func issue(id fleet.NodeID) fleet.Action  { return fleet.Action{Type: fleet.IssueCredential, ID: id} }
func remove(id fleet.NodeID) fleet.Action { return fleet.Action{Type: fleet.DecommissionNode, ID: id} }
