package plannercmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestHelp(t *testing.T) { clitest.CheckHelp(t, New()) }

func TestMisuseIsSaidBeforeAnythingIsConnected(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a lease of no time":             {[]string{"--lease", "0s"}, "--lease is 0s, must be 1s to 1h"},
		"a lease of a day":               {[]string{"--lease", "24h"}, "--lease is 24h0m0s"},
		"nothing may be in flight":       {[]string{"--max-in-flight", "0"}, "max_in_flight is 0"},
		"no wait after a failure":        {[]string{"--backoff-base", "0s"}, "backoff_base is 0s"},
		"a longest wait below the first": {[]string{"--backoff-base", "1m", "--backoff-cap", "1s"}, "backoff_cap is 1s"},
		"fewer replicas than none":       {[]string{"--replicas", "-1"}, "--replicas is -1, must be 1, 3 or 5"},
		"replicas that make no majority": {[]string{"--replicas", "2"}, "--replicas is 2"},
		"a monitor that is no page":      {[]string{"--monitor", "nats://127.0.0.1:4222"}, "--monitor: "},
		"a prefix of two tokens":         {[]string{"--prefix", "a.b"}, "a.b"},
		"an argument":                    {[]string{"fleet.yaml"}, "fleet.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			cmd := New()
			cmd.SetArgs(c.args)
			cmd.SetOut(io.Discard)
			cmd.SetErr(&errs)
			if code := cli.Run(t.Context(), cmd); code != cli.ExitUsage || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d, %s", code, errs.String())
			}
		})
	}
}

const (
	oneNode = `trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: node-1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
quorum: {width: 1}
enforcement: {require_sig: true}
`
	notYAML = "trust_domain: [\n"
)

var (
	unknownKey = strings.Replace(oneNode, "require_sig", "requir_sig", 1)
	permissive = strings.Replace(oneNode, "true", "false", 1)
)

func TestThePlannerPutsEachValidVersionOfItsFileIntoForce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := start(ctx, t, oneNode)

	applied := p.next(events.TypeInventoryApplied).Data.(*events.InventoryApplied)
	if applied.Generation != 1 || applied.Digest != inventory.Digest([]byte(oneNode)) || applied.Note != "from "+p.file {
		t.Errorf("applied %+v", applied)
	}
	plan := p.next(events.TypePlanDecided).Data.(*events.PlanDecided)
	if plan.InventoryDigest != applied.Digest || len(plan.Actions) != 1 || plan.Actions[0].ID != "node-1" {
		t.Errorf("decided %+v", plan)
	}

	p.log.Wait(ctx, t, "published a plan") // it is counted by then
	p.answers("/healthz", "ok")
	p.answers("/readyz", "ok")
	p.answers("/metrics", "fleetfold_plans_published_total 1")
	p.answers("/metrics", "fleetfold_snapshot_sequence 0")

	const refused = "inventory is not valid, the last good one stays in force"
	p.write(unknownKey)
	if line := p.log.Wait(ctx, t, refused); line["at"] != "enforcement.requir_sig" || line["line"] != 7.0 || line["tag"] != inventory.TagParseError {
		t.Errorf("the problem is logged as %v", line)
	}
	p.write(notYAML)
	if line := p.log.Wait(ctx, t, refused); line["tag"] != inventory.TagParseError || has(line, "at") {
		t.Errorf("a problem without a path is logged as %v", line)
	}
	p.write(permissive)
	again := p.next(events.TypeInventoryApplied).Data.(*events.InventoryApplied)
	if again.Generation != 2 || again.Digest != inventory.Digest([]byte(permissive)) {
		t.Errorf("after two versions that are not valid, %+v was applied", again)
	}
	p.stop()
}

func has(line map[string]any, field string) bool {
	_, ok := line[field]
	return ok
}

// running is a planner on a server of its own.
type running struct {
	t         *testing.T
	ctx       context.Context
	file, url string
	log       *clitest.Log
	cursor    eventlog.Cursor
	arrived   []eventlog.Record
	stop      func()
}

func start(ctx context.Context, t *testing.T, text string) *running {
	t.Helper()
	return startOn(ctx, t, serve(t, natsd.Options{}), text)
}

func serve(t *testing.T, o natsd.Options) *natsd.Server {
	t.Helper()
	o.Dir, o.Port, o.Logger = t.TempDir(), natsd.RandomPort, zerolog.Nop()
	server, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return server
}

func startOn(ctx context.Context, t *testing.T, server *natsd.Server, text string, more ...string) *running {
	t.Helper()
	p := &running{t: t, ctx: ctx, file: filepath.Join(t.TempDir(), "fleet.yaml"), log: new(clitest.Log)}
	p.write(text)

	cmd := New()
	cmd.SetErr(p.log)
	cmd.SetArgs(append([]string{"--nats", server.URL(), "--inventory", p.file, "--listen", "127.0.0.1:0"}, more...))
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, cmd) }()
	p.stop = func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d, %s", code, p.log)
		}
		ended <- 0 // for the second call
	}
	t.Cleanup(p.stop)
	p.url = fmt.Sprintf("http://%s", p.log.Wait(ctx, t, "serving health and metrics")["address"])
	p.log.Wait(ctx, t, "planner started") // the streams are there
	p.follow(server)
	return p
}

// follow reads the log that the planner writes.
func (p *running) follow(server *natsd.Server) {
	p.t.Helper()
	bus, err := eventlog.Connect(p.ctx, eventlog.Options{InProcess: server})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(bus.Close)
	if p.cursor, err = bus.Log().Follow(p.ctx, 0); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.cursor.Close)
}

// next waits for the next event of the given type, passing over others.
func (p *running) next(typ events.Type) *events.Event {
	p.t.Helper()
	for {
		for len(p.arrived) > 0 {
			r := p.arrived[0]
			p.arrived = p.arrived[1:]
			if r.Err != nil {
				p.t.Fatalf("record %d does not fit: %v", r.Sequence, r.Err)
			}
			if r.Event.Type == typ {
				return r.Event
			}
		}
		records, err := p.cursor.Next(p.ctx)
		if err != nil {
			p.t.Fatalf("wait for %s: %v\n%s", typ, err, p.log)
		}
		p.arrived = records
	}
}

func (p *running) answers(path, want string) {
	p.t.Helper()
	if code, body := clitest.Get(p.ctx, p.t, p.url+path); code != 200 || !strings.Contains(body, want) {
		p.t.Errorf("%s answers %d %s, want %q", path, code, body, want)
	}
}

// write replaces the file as an editor does, by a rename.
func (p *running) write(text string) {
	p.t.Helper()
	draft := p.file + ".new"
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(draft, p.file); err != nil {
		p.t.Fatal(err)
	}
}
