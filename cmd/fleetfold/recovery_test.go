package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/status"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/merkle"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// rescued is a fleet of processes that can be started on one server and on another.
type rescued struct {
	t       *testing.T
	dir     string
	file    string
	clients *attest.Local
	running []*exec.Cmd
}

func newRescued(t *testing.T) *rescued {
	t.Helper()
	r := &rescued{t: t, dir: t.TempDir()}
	r.file = filepath.Join(r.dir, "fleet.yaml")
	var err error
	if r.clients, err = attest.OpenLocal(filepath.Join(r.dir, "clients"), nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rescued) apply(ids ...string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(fleetOf(true, ids...)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start begins with a server; the folders of executor and agents are kept.
func (r *rescued) start(nats string, ids ...string) {
	r.t.Helper()
	r.running = append(r.running[:0],
		process(r.t, "planner", nats, "--inventory", r.file, "--lease", "3s"),
		process(r.t, "executor", nats, "--dir", filepath.Join(r.dir, "executor"), "--attest-ca", r.clients.File))
	for _, id := range ids {
		if err := r.clients.Equip(fleet.NodeID(id), filepath.Join(r.dir, id)); err != nil {
			r.t.Fatal(err)
		}
		r.running = append(r.running, process(r.t, "node-agent", nats, "--id", id, "--dir", filepath.Join(r.dir, id), "--lease", "3s"))
	}
}

// crash ends all at once, as the loss of a site does.
func (r *rescued) crash() {
	r.t.Helper()
	for _, p := range r.running {
		if err := p.Process.Kill(); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, p := range r.running {
		_ = p.Wait() // "signal: killed" is what we asked for
	}
}

func (r *rescued) server() (*natsd.Server, string) {
	r.t.Helper()
	s, err := natsd.Start(natsd.Options{Dir: r.t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Shutdown)
	return s, "--nats=" + s.URL()
}

// run is one command of the operator.
func (r *rescued) run(args ...string) []byte {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	cmd := fleetfold(ctx, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s%s", args, err, out, &errs)
	}
	return out
}

// folded is the hash of the fold of a server's log, and the root over it.
func (r *rescued) folded(s *natsd.Server) (snapshot.Hash, merkle.Hash) {
	r.t.Helper()
	b, err := eventlog.Connect(r.t.Context(), eventlog.Options{InProcess: s})
	if err != nil {
		r.t.Fatal(err)
	}
	defer b.Close()
	st := projection.New()
	var tree merkle.Frontier
	for rec, err := range (archive.Live{Log: b.Log()}).Records(r.t.Context(), 0) {
		if err == nil {
			_, err = snapshot.Fold(st, b.Log().Subjects(), rec)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		tree.Append(merkle.LeafOf(rec))
	}
	h, err := snapshot.HashOf(st)
	if err != nil {
		r.t.Fatal(err)
	}
	return h, tree.Root()
}

func (r *rescued) status(nats string) (s status.Status) {
	r.t.Helper()
	if err := json.Unmarshal(r.run("status", "-o", "json", nats), &s); err != nil {
		r.t.Fatal(err)
	}
	s.Services = nil // who answers now is no history
	return s
}

// A site is lost with its server. What was exported is imported elsewhere, and
// the fleet goes on there as if nothing had happened.
func TestAFleetGoesOnWithAnImportedLog(t *testing.T) {
	r := newRescued(t)
	first, nats := r.server()
	r.apply("a", "b")
	r.start(nats, "a", "b")
	r.run("wait", "--for", "converged", "--timeout", "50s", nats)
	r.run("pause", "--region", "nyc", "-m", "works", nats)
	r.run("resume", "--region", "nyc", nats)
	r.crash()
	export := filepath.Join(r.dir, "log.jsonl")
	r.run("export", "--out", export, nats)
	was := r.status(nats)
	hash, root := r.folded(first)

	second, nats := r.server()
	r.run("import", export, nats)
	if got := r.status(nats); !cmp.Equal(was, got) {
		t.Errorf("the status is another:\n%s", cmp.Diff(was, got))
	}
	if h, rt := r.folded(second); h != hash || rt != root {
		t.Errorf("fold %s and root %s, want %s and %s", h, rt, hash, root)
	}
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	if again := r.run("export", nats); !bytes.Equal(again, text) {
		t.Error("what was imported is exported as another file")
	}

	r.apply("a", "b", "c")
	r.start(nats, "a", "b", "c")
	if err := waitFact(t, "credential.proved", "c", nats); err != nil {
		t.Fatal(err)
	}
	r.run("wait", "--for", "converged", "--timeout", "50s", nats)
	grown := r.run("export", nats)
	records := text[:bytes.LastIndex(text[:len(text)-1], []byte("\n"))+1]
	if !bytes.HasPrefix(grown, records) {
		t.Error("what was appended since changed what was imported")
	}
	if s := r.status(nats); len(s.Stuck) > 0 || s.Unfit != was.Unfit || s.Sequence <= was.Sequence {
		t.Errorf("afterwards: %+v", s)
	}
}

// On a secure server nobody who runs may import. Who may is made for it, and goes.
func TestAnImportOnASecureServerTakesAnIdentityOfItsOwn(t *testing.T) {
	r := newRescued(t)
	_, nats := r.server()
	r.apply("a")
	r.start(nats, "a")
	r.run("wait", "--for", "converged", "--timeout", "50s", nats)
	r.crash()
	export := filepath.Join(r.dir, "log.jsonl")
	r.run("export", "--out", export, nats)

	bus := filepath.Join(r.dir, "bus")
	config := func(more ...string) {
		t.Helper()
		r.run(append([]string{"nats", "config", "--inventory", r.file, "--out", bus}, more...)...)
	}
	config("--importer")
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Config: busdir.ConfigFile(bus)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	as := func(role busconf.Role, args ...string) []string {
		return append(args, "--nats="+server.URL(), "--identity="+busdir.Service(bus, role))
	}
	for _, role := range []busconf.Role{busconf.Operator, busconf.Auditor} {
		out, err := fleetfold(t.Context(), as(role, "import", export)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "nats config --importer") {
			t.Errorf("the %s imports: %v\n%s", role, err, out)
		}
	}
	r.run(as(busconf.Importer, "import", export)...)
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	// They have no consumer, and another account than the streams.
	for _, role := range []busconf.Role{busconf.Operator, busconf.Auditor} {
		if again := r.run(as(role, "export")...); !bytes.Equal(again, text) {
			t.Errorf("the %s exports another file", role)
		}
	}
	config()
	if _, err := os.Stat(busdir.Service(bus, busconf.Importer)); !os.IsNotExist(err) {
		t.Errorf("its identity is still there: %v", err)
	}
	if conf, err := os.ReadFile(busdir.ConfigFile(bus)); err != nil || bytes.Contains(conf, []byte("importer")) {
		t.Errorf("the configuration lets it in: %v", err)
	}
	if _, err := merkle.CreateKey(filepath.Join(r.dir, "keys"), "fleet.example"); err != nil {
		t.Fatal(err)
	}
	r.run(as(busconf.Operator, "checkpoint", "create", "--key", filepath.Join(r.dir, "keys", merkle.KeyFile))...)
	r.run(as(busconf.Auditor, "checkpoint", "verify", "--key", filepath.Join(r.dir, "keys", merkle.PublicFile))...)
}
