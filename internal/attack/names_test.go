package attack

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// crooked are legal ids that mean something to a file system, to a shell or to
// NATS, beside neighbours that they could be taken for.
var crooked = []fleet.NodeID{".", "a", "a/b", "a.b", "a/./b", "A", "-rf", "_enc/a", "a:b@c", "a/", "credential/key.pem", "presence.a"}

// An id stays in its folder and on its subject, whatever it is made of: each of
// these nodes gets its own credential, and nobody else's file.
func TestAnIDStaysInItsFolderAndOnItsSubject(t *testing.T) {
	site := newAuthority(t)
	w := newWorld(t, fleet.AttestorMTLSCert, crooked...)
	w.start(executorcmd.New(), "--dir", filepath.Join(w.dir, "executor"), "--driver", "wait", "--attest-ca", site.File)
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	for _, id := range crooked {
		if err := site.Equip(id, filepath.Join(home, "fleetfold", events.FileName(id))); err != nil {
			t.Fatal(err)
		}
		w.start(agentcmd.New(), "--id="+string(id), "--lease", "5s")
	}
	waiting := slices.Clone(crooked)
	for len(waiting) > 0 {
		r := w.next("each of them signs", func(e *events.Event) bool { return e.Type == events.TypeCredentialProved })
		at := slices.Index(waiting, r.Event.Node)
		if at < 0 {
			t.Fatalf("%q signs, who was not asked or did before", r.Event.Node)
		}
		waiting = slices.Delete(waiting, at, at+1)
	}
	folders, err := os.ReadDir(filepath.Join(home, "fleetfold"))
	if err != nil || len(folders) != len(crooked) {
		t.Errorf("%d nodes have %d folders, %v", len(crooked), len(folders), err)
	}
	keys := map[string]string{}
	err = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "key.pem" {
			keys[string(read(t, path))] = path
			if strings.Count(strings.TrimPrefix(path, home), "/") != 3 {
				t.Errorf("a key lies at %s", path)
			}
		}
		return err
	})
	if err != nil || len(keys) != len(crooked) {
		t.Errorf("%d nodes have %d keys, %v", len(crooked), len(keys), err)
	}
}

// Whatever else could lead out of a folder or off a subject is no id.
func TestAnIDThatLeadsElsewhereIsNone(t *testing.T) {
	w := newWorld(t, fleet.AttestorMTLSCert, "n1")
	v := view.New(w.bus.Log())
	following, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- v.Run(following) }()
	defer func() { stop(); <-ended }()
	for _, id := range []string{"..", "../../etc/passwd", "a/../../b", "/etc/passwd", "a b", "*", ">", "a.>", "a\\b", "a\x00b", "a\r\nPUB x 0", "%2e%2e", "ä", strings.Repeat("a", fleet.MaxNodeIDBytes+1), ""} {
		text, err := fleetOf(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := planner.Apply(w.ctx, w.bus, w.bus.Log(), v, text, "attacker", "", time.Now()); err == nil || !strings.Contains(err.Error(), "id") {
			t.Errorf("%q in an inventory: %v", id, err)
		}
		if code, said := w.ends(agentcmd.New(), "--id="+id, "--dir", filepath.Join(w.dir, "agent")); code != cli.ExitUsage {
			t.Errorf("%q for an agent: exit code %d\n%s", id, code, said)
		}
	}
	if err := v.CatchUp(w.ctx); err != nil {
		t.Fatal(err)
	}
	v.Read(func(s *projection.State) {
		if n := s.Inventory().Generation; n != 1 {
			t.Errorf("the inventory in force is of generation %d", n)
		}
	})
	if entries, err := os.ReadDir(filepath.Join(w.dir, "agent")); err == nil {
		t.Errorf("an agent made %d files", len(entries))
	}
}

// fleetOf is an inventory of one node, in JSON, which is YAML.
func fleetOf(id string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"trust_domain": domain, "quorum": map[string]int{"width": 1},
		"regions": []any{map[string]any{"name": "nyc", "nodes": []any{map[string]string{"id": id, "attestor": "mtls-cert", "cred_ttl": "1h", "renew_before": "15m"}}}},
	})
}
