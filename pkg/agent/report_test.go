package agent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// reported waits for a report, and returns it with the time until it came.
func (r *running) reported(t *testing.T) ([]events.Refused, time.Duration) {
	t.Helper()
	began := time.Now()
	e := <-r.requests
	d, ok := e.Data.(*events.RefusalReported)
	if !ok || e.Source != events.NodeSource(node) || e.Node != node || e.DSSEMaterial != nil {
		t.Fatalf("%+v is no report", e)
	}
	return d.Refused, time.Since(began)
}

func (r *running) takes() {
	r.answer(events.TypeCommandAnswered, &events.CommandAnswered{Taken: true})
}

// The first is told within a second, then all that came in two minutes at most; what
// nobody took is told again, and nothing twice.
func TestANodeReportsWhatItRefused(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := startOpen(t, agent.Config{Dir: dir, Random: steady})
		r.agent.Refused(events.RefusedPost, "unsigned", "first")
		got, after := r.reported(t)
		if len(got) != 1 || got[0] != (events.Refused{Channel: "post", Reason: "unsigned", Detail: "first", Count: 1}) || after > time.Second {
			t.Errorf("after %s: %+v", after, got)
		}
		r.answers <- nil // nobody listens
		for n := range 1000 {
			r.agent.Refused(events.RefusedPost, "unsigned", fmt.Sprint("again ", n))
		}
		if got, _ := r.reported(t); len(got) != 1 || got[0].Count != 1001 || got[0].Detail != "again 999" {
			t.Errorf("nobody took the first, and then: %+v", got)
		}
		r.agent.Refused(events.RefusedPost, "unsigned", "meanwhile")
		r.agent.Refused(events.RefusedPost, "replayed", "meanwhile")
		r.takes()
		got, after = r.reported(t)
		if len(got) != 2 || got[0].Reason != "replayed" || got[0].Count != 1 || got[1].Reason != "unsigned" || got[1].Count != 1 || after < time.Minute || after > 2*time.Minute+time.Second {
			t.Errorf("after %s: %+v", after, got)
		}
		r.refuse("too_many_requests")
		if got, _ := r.reported(t); len(got) != 2 {
			t.Errorf("refused, and then: %+v", got)
		}
		r.takes()
		r.agent.Refused(events.RefusedPost, "stale", strings.Repeat("x", 1000)+"\x1b")
		r.stop()
		if got, _ := r.reported(t); len(got) != 1 || got[0].Reason != "stale" || len(got[0].Detail) > events.MaxRefusalDetail {
			t.Errorf("before it goes: %+v", got)
		}
		r.takes()
		r.ended(t)
	})
}

// Whoever is refused cannot make a report larger than it may be.
func TestAReportHasAnEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := startOpen(t, agent.Config{Dir: dir, Random: steady})
		for n := range 500 {
			r.agent.Refused(events.RefusedPost, fleet.Reason(fmt.Sprint("reason_", n)), "x")
			r.agent.Refused(events.RefusedFile, fleet.Reason(fmt.Sprint("reason_", n)), "x")
		}
		got, _ := r.reported(t)
		sum := uint64(0)
		for _, d := range got {
			sum += d.Count
		}
		if len(got) > events.MaxReported || sum != 1000 {
			t.Errorf("%d kinds, %d refusals", len(got), sum)
		}
		r.takes()
		r.end(t)
	})
}

// A file that the agent can do without is reported, and the agent works on.
func TestADamagedRenewalIsReported(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"rubbish", `{"serial":"00"}`} {
		if err := os.WriteFile(filepath.Join(dir, agent.PendingFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			r := startOpen(t, agent.Config{Dir: dir, Random: steady})
			got, _ := r.reported(t)
			if len(got) != 1 || got[0].Channel != events.RefusedFile || got[0].Reason != identity.FileDamaged || !strings.Contains(got[0].Detail, agent.PendingFile) {
				t.Errorf("%s: %+v", text, got)
			}
			r.takes()
			r.end(t)
		})
	}
}

// What is wrong with a file of the folder has a reason, whatever the words.
func TestWhyAFileIsNotTaken(t *testing.T) {
	i, dir := newIssuer(t), t.TempDir()
	r := start(t, agent.Config{Dir: dir})
	d := i.enrol(t, r.fakeBus)
	r.end(t)
	other := *d
	other.Serial = "00"
	serial, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		text []byte
		mode os.FileMode
		node fleet.NodeID
		want fleet.Reason
	}{
		"a key of rubbish":          {agent.KeyFile, []byte("rubbish"), 0o600, node, identity.FileDamaged},
		"a key that others read":    {agent.KeyFile, nil, 0o644, node, identity.FilePermissions},
		"a credential of rubbish":   {agent.CredentialFile, []byte("{"), 0o600, node, identity.FileDamaged},
		"a credential of others":    {agent.CredentialFile, nil, 0o600, "other", identity.FileMismatch},
		"another credential within": {agent.CredentialFile, serial, 0o600, node, identity.FileDamaged},
		"a bundle of rubbish":       {agent.BundleFile, []byte("{"), 0o600, node, identity.FileDamaged},
	} {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(copied, c.file)
		if c.text != nil {
			if err := os.WriteFile(path, c.text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, file := range []string{agent.KeyFile, agent.CredentialFile} { // as they were
			if err := os.Chmod(filepath.Join(copied, file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := agent.Open(agent.Config{Dir: copied, Node: c.node}, zerolog.Nop())
		refusal := identity.FileRefusal(err)
		if refusal == nil || refusal.Reason != c.want || !strings.Contains(refusal.Detail, path) {
			t.Errorf("%s: %v, as a refusal %+v, want %s", name, err, refusal, c.want)
		}
	}
}
