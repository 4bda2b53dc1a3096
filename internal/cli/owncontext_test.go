package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/contexts"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

func TestAContextOfOurOwn(t *testing.T) {
	ours := eventlog.TLSFiles{Cert: "/c", Key: "/k", CA: "/ca"}
	edge := contexts.Context{Name: "edge", NATS: "nats://edge", Prefix: "edge", TLSCert: "/c", TLSKey: "/k", TLSCA: "/ca"}
	built := contexts.Context{Name: "built", NATSContext: "mine", Prefix: "built"}
	for name, c := range map[string]struct {
		env      map[string]string
		args     []string
		selected string // of ours
		theirs   string // that the nats command selected
		url      string
		context  string
		prefix   string
		tls      eventlog.TLSFiles
	}{
		"typed":                           {args: []string{"--context", "edge"}, url: "nats://edge", prefix: "edge", tls: ours},
		"by the environment":              {env: map[string]string{"FLEETFOLD_CONTEXT": "edge"}, url: "nats://edge", prefix: "edge", tls: ours},
		"selected":                        {selected: "edge", url: "nats://edge", prefix: "edge", tls: ours},
		"selected before theirs":          {selected: "edge", theirs: "mine", url: "nats://edge", prefix: "edge", tls: ours},
		"none of ours, but one of theirs": {theirs: "mine", context: "mine", prefix: "fleet"},
		"built on one of theirs":          {args: []string{"--context", "built"}, context: "mine", prefix: "built"},
		"a name that only they know":      {args: []string{"--context", "prod"}, selected: "edge", context: "prod", prefix: "fleet"},
		"a server leaves the selected one aside": {
			selected: "edge", args: []string{"--nats", "nats://a"}, url: "nats://a", prefix: "fleet"},
		"so does the environment's": {selected: "edge", env: map[string]string{"NATS_URL": "nats://a"}, url: "nats://a", prefix: "fleet"},
		"a flag beats it":           {selected: "edge", args: []string{"--prefix", "other"}, url: "nats://edge", prefix: "other", tls: ours},
		"a variable beats the selected one": {
			selected: "edge", env: map[string]string{"FLEETFOLD_PREFIX": "other"}, url: "nats://edge", prefix: "other", tls: ours},
		"a typed one silences variables": {
			args: []string{"--context", "edge"}, env: map[string]string{"FLEETFOLD_PREFIX": "other", "NATS_URL": "nats://a", "NATS_CERT": "x", "NATS_KEY": "x"},
			url: "nats://edge", prefix: "edge", tls: ours},
		"both typed": {args: []string{"--context", "edge", "--nats", "nats://a"}, url: "nats://a", prefix: "edge", tls: ours},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			for _, own := range []contexts.Context{edge, built} {
				if err := contexts.Save(own); err != nil {
					t.Fatal(err)
				}
			}
			if err := contexts.Select(c.selected); err != nil {
				t.Fatal(err)
			}
			if c.theirs != "" {
				selectContext(t, filepath.Join(home, ".config", "nats"), c.theirs)
			}
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			var n cli.NATSFlags
			if code, _, errs := call(t, t.Context(), natsTool(&n), c.args...); code != 0 {
				t.Fatal(errs)
			}
			files, err := n.Files()
			if err != nil || files != c.tls {
				t.Fatalf("files are %+v, %v", files, err)
			}
			n.TLS = eventlog.TLSFiles{} // they are not there to be read
			o, err := n.Options("test")
			if err != nil || o.URL != c.url || o.Context != c.context || o.Prefix != c.prefix || n.Prefix != c.prefix {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
}

func TestASelectedContextThatIsGone(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if err := contexts.Save(contexts.Context{Name: "a", NATS: "nats://a"}); err != nil {
		t.Fatal(err)
	}
	if err := contexts.Select("a"); err != nil {
		t.Fatal(err)
	}
	dir, err := contexts.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "context")); err != nil {
		t.Fatal(err)
	}
	var n cli.NATSFlags
	if code, _, errs := call(t, t.Context(), natsTool(&n)); code != 0 {
		t.Fatal(errs)
	}
	if _, err := n.Options("test"); err == nil || !strings.Contains(err.Error(), `the selected context "a" is not there any more`) || cli.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}
