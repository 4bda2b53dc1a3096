package agentcmd

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// commandBus is a quietBus over which the agent can be written to.
type commandBus struct {
	quietBus
	handle chan func(context.Context, *events.Event) *events.Event
}

func (b commandBus) ServeCommands(_ context.Context, _ fleet.NodeID, h func(context.Context, *events.Event) *events.Event) (func(), error) {
	b.handle <- h
	return func() {}, nil
}

func TestAnAgentIsObserved(t *testing.T) {
	limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bus := commandBus{quietBus{make(chan *events.Heartbeat, 100)}, make(chan func(context.Context, *events.Event) *events.Event, 1)}
	reachable := make(chan struct{})
	cmd := newCommand(func(context.Context, eventlog.Options) (agent.Bus, error) { <-reachable; return bus, nil })
	var log clitest.Log
	cmd.SetErr(&log)
	cmd.SetArgs([]string{"--id", "n1", "--dir", t.TempDir(), "--lease", "1s", "--listen", "127.0.0.1:0"})
	ctx, stop := context.WithCancel(limit)
	ended := make(chan int)
	go func() { ended <- cli.Run(ctx, cmd) }()
	url := fmt.Sprintf("http://%s", log.Wait(limit, t, "serving health and metrics")["address"])
	expect := func(path string, code int, want string) {
		t.Helper()
		if got, body := clitest.Get(limit, t, url+path); got != code || !strings.Contains(body, want) {
			t.Errorf("%s answers %d %s, want %d with %q", path, got, body, code, want)
		}
	}
	expect("/healthz", 200, "ok")
	expect("/readyz", 503, "no heartbeat was acknowledged")
	expect("/metrics", 200, "fleetfold_heartbeats_total 0")
	if _, body := clitest.Get(limit, t, url+"/metrics"); strings.Contains(body, "fleetfold_credential") {
		t.Errorf("a credential that is not there has an end: %s", body)
	}

	close(reachable)
	end := enrol(t, <-bus.handle)
	<-bus.beats
	<-bus.beats // the first one is accounted for now
	expect("/readyz", 200, "ok")
	expect("/metrics", 200, "fleetfold_heartbeat_failures_total 0")
	expect("/metrics", 200, fmt.Sprintf("fleetfold_credential_not_after_seconds %v", float64(end.Unix())))
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d, %s", code, &log)
	}
}

// enrol gives the agent a credential and returns its end.
func enrol(t *testing.T, command func(context.Context, *events.Event) *events.Event) time.Time {
	t.Helper()
	ask := func(typ events.Type, data events.Payload) *events.CommandAnswered {
		answered := command(t.Context(), &events.Event{ID: "c", Type: typ, Node: "n1", Data: data}).Data.(*events.CommandAnswered)
		if answered.Error != "" {
			t.Fatal(answered.Error)
		}
		return answered
	}
	ca, _, err := identity.LoadOrCreateCA(t.TempDir(), "example.org", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := identity.ParseCSR([]byte(ask(events.TypeCertificateRequested, &events.CertificateRequested{Epoch: 1}).CSRPEM))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue(csr, "n1", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ask(events.TypeCredentialDelivered, &events.CredentialDelivered{
		Epoch: 1, Serial: issued.Serial, Nonce: hex.EncodeToString([]byte("nonce")), TrustDomain: "example.org",
		CertificatePEM: string(issued.CertificatePEM), BundlePEM: string(ca.CertificatePEM()),
	})
	return issued.NotAfter
}

func TestAnAddressThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bus := quietBus{make(chan *events.Heartbeat, 100)}
	connect := func(context.Context, eventlog.Options) (agent.Bus, error) { return bus, nil }
	address := taken.Addr().String()

	code, errs := run(t, t.Context(), newCommand(connect), "--id", "n1", "--dir", t.TempDir(), "--listen", address)
	if code != cli.ExitFailure || !strings.Contains(errs, "error: listen for health and metrics") {
		t.Errorf("exit code %d, %s", code, errs)
	}

	// A child is started with its parent's environment, and with the parent's address.
	t.Setenv("FLEETFOLD_LISTEN", address)
	cmd := newCommand(connect)
	stdin, parent := io.Pipe()
	cmd.SetIn(stdin)
	parent.Close()
	if code, errs := run(t, t.Context(), cmd, "--id", "n1", "--dir", t.TempDir(), "--stop-on-stdin-eof"); code != 0 {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
