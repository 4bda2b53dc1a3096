package agent_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestMain(m *testing.M) { leak.Main(m) }

// fakeBus hands over what the agent publishes and gives it commands.
type fakeBus struct {
	beats   chan *events.Heartbeat
	states  chan *events.Event
	serving chan struct{} // closed when commands are taken
	handle  func(context.Context, *events.Event) *events.Event
	// requests come one at a time, and each waits for one of answers; nil says
	// that nobody listens.
	requests chan *events.Event
	answers  chan *events.Event

	mu       sync.Mutex
	beatErr  error
	stateErr error
	closed   bool
	stopped  bool
}

func newBus() *fakeBus {
	return &fakeBus{beats: make(chan *events.Heartbeat, 100), states: make(chan *events.Event, 100), serving: make(chan struct{}),
		requests: make(chan *events.Event), answers: make(chan *events.Event)}
}

func (b *fakeBus) fail(beat, state error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beatErr, b.stateErr = beat, state
}

func (b *fakeBus) Beat(_ context.Context, _ fleet.NodeID, e *events.Event, _ time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.beatErr != nil {
		return b.beatErr
	}
	mustFit(subjects.Presence(node), e)
	b.beats <- e.Data.(*events.Heartbeat)
	return nil
}

func (b *fakeBus) State(ctx context.Context, e *events.Event) error {
	b.mu.Lock()
	err := b.stateErr
	b.mu.Unlock()
	if errors.Is(err, errHang) {
		<-ctx.Done()
		return ctx.Err()
	}
	if err == nil {
		mustFit(subjects.Credential(node), e)
		b.states <- e
	}
	return err
}

// Request hands the request over and waits for the test's answer.
func (b *fakeBus) Request(ctx context.Context, id fleet.NodeID, e *events.Event) (*events.Event, error) {
	mustFit(subjects.Request(id), e)
	select {
	case b.requests <- e:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-b.answers:
		if answer == nil {
			return nil, errors.New("no executor listens")
		}
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var subjects = events.DefaultSubjects()

// mustFit panics unless e passes the border: what an agent says that does not
// fit is a mistake in the agent.
func mustFit(subject string, e *events.Event) {
	m, err := events.EncodeTo(subject, e)
	if err == nil {
		err = events.CheckSchema(e.Type, m.Data)
	}
	if err != nil {
		panic(err)
	}
}

var errHang = errors.New("hangs")

func (b *fakeBus) ServeCommands(_ context.Context, _ fleet.NodeID, h func(context.Context, *events.Event) *events.Event) (func(), error) {
	b.handle = h
	close(b.serving)
	return func() { b.stopped = true }, nil
}

func (b *fakeBus) Close() { b.closed = true }

// command asks the agent and returns its answer.
func (b *fakeBus) command(t *testing.T, data events.Payload, typ events.Type) *events.CommandAnswered {
	t.Helper()
	<-b.serving
	answer := b.handle(t.Context(), &events.Event{ID: "c", Type: typ, Node: node, Data: data})
	if answer.Type != events.TypeCommandAnswered || answer.Node != node || answer.Source != events.NodeSource(node) {
		t.Fatalf("answer is %+v", answer)
	}
	mustFit(subjects.Command(node), answer)
	return answer.Data.(*events.CommandAnswered)
}

const (
	node   = fleet.NodeID("region/nyc/n.1")
	domain = "example.org"
)

// running is an agent under test.
type running struct {
	*fakeBus
	dir  string
	done chan error
	stop context.CancelFunc
}

func start(t *testing.T, cfg agent.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{fakeBus: newBus(), dir: cfg.Dir, done: make(chan error, 1), stop: cancel}
	cfg.Node = node
	go func() { r.done <- agent.Run(ctx, cfg, r.fakeBus, zerolog.Nop()) }()
	return r
}

// end stops the agent and returns its last heartbeat.
func (r *running) end(t *testing.T) *events.Heartbeat {
	t.Helper()
	r.stop()
	return r.ended(t)
}

func (r *running) ended(t *testing.T) *events.Heartbeat {
	t.Helper()
	if err := <-r.done; err != nil {
		t.Fatalf("run agent: %v", err)
	}
	if !r.closed || !r.stopped {
		t.Errorf("closed %v, commands stopped %v", r.closed, r.stopped)
	}
	var last *events.Heartbeat
	for len(r.beats) > 0 {
		last = <-r.beats
	}
	return last
}

// issuer is the other side of the commands.
type issuer struct{ ca *identity.CA }

func newIssuer(t *testing.T) issuer {
	t.Helper()
	ca, _, err := identity.LoadOrCreateCA(t.TempDir(), domain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return issuer{ca}
}

func (i issuer) deliver(t *testing.T, csrPEM string, id fleet.NodeID, ttl time.Duration) *events.CredentialDelivered {
	t.Helper()
	csr, err := identity.ParseCSR([]byte(csrPEM))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := i.ca.Issue(csr, id, ttl, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &events.CredentialDelivered{
		Epoch: 1, Serial: issued.Serial, Nonce: hex.EncodeToString([]byte("nonce")), TrustDomain: domain,
		CertificatePEM: string(issued.CertificatePEM), BundlePEM: string(i.ca.CertificatePEM()),
	}
}

// enrol takes the agent from its key to a credential that is kept.
func (i issuer) enrol(t *testing.T, b *fakeBus) *events.CredentialDelivered {
	t.Helper()
	csr := b.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested)
	d := i.deliver(t, csr.CSRPEM, node, time.Hour)
	if a := b.command(t, d, events.TypeCredentialDelivered); a.Error != "" {
		t.Fatalf("delivery refused: %s", a.Error)
	}
	return d
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// leafStart is a moment at which the delivered certificate is valid.
func leafStart(t *testing.T, d *events.CredentialDelivered) time.Time {
	t.Helper()
	block, _ := pem.Decode([]byte(d.CertificatePEM))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert.NotBefore.Add(time.Minute)
}
