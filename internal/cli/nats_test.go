package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
)

func natsTool(n *cli.NATSFlags) *cobra.Command {
	root := &cobra.Command{Use: "ship", RunE: func(*cobra.Command, []string) error { return nil }}
	n.AddTo(root.Flags())
	return root
}

// selectContext does what "nats context select" does.
func selectContext(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "context"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		filepath.Join("context", name+".json"): `{"url": "nats://mine"}`,
		"context.txt":                          name,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheServerOfTheCommandLineBeatsTheEnvironments(t *testing.T) {
	creds := filepath.Join(t.TempDir(), "a.creds")
	if err := os.WriteFile(creds, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env                 map[string]string
		args                []string
		selected            string // by the nats command
		url, context, creds string
	}{
		"nothing given":              {url: cli.DefaultNATS},
		"a context that is selected": {selected: "mine", context: "mine"},
		"only credentials given":     {selected: "mine", args: []string{"--creds", creds}, context: "mine", creds: creds},
		"a server silences the selected context": {
			selected: "mine", env: map[string]string{"NATS_URL": "nats://a"}, url: "nats://a"},
		"a context silences the selected one": {
			selected: "mine", env: map[string]string{"NATS_CONTEXT": "prod"}, context: "prod"},
		"the nats command's variable": {env: map[string]string{"NATS_URL": "nats://a"}, url: "nats://a"},
		"our own variable first":      {env: map[string]string{"NATS_URL": "nats://a", "FLEETFOLD_NATS": "nats://b"}, url: "nats://b"},
		"a context silences the environment's server": {
			env:  map[string]string{"NATS_URL": "nats://a", "NATS_CREDS": creds},
			args: []string{"--context", "prod"}, context: "prod"},
		"a server silences the environment's context": {
			env:  map[string]string{"NATS_CONTEXT": "prod", "NATS_CREDS": creds},
			args: []string{"--nats", "nats://b"}, url: "nats://b", creds: creds},
		"both typed": {args: []string{"--nats", "nats://b", "--context", "prod", "--creds", creds}, url: "nats://b", context: "prod", creds: creds},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			if c.selected != "" {
				selectContext(t, filepath.Join(home, ".config", "nats"), c.selected)
			}
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			var n cli.NATSFlags
			if code, _, errs := call(t, t.Context(), natsTool(&n), c.args...); code != 0 {
				t.Fatal(errs)
			}
			o, err := n.Options("test")
			if err != nil || o.URL != c.url || o.Context != c.context || o.Creds != c.creds || o.Prefix != "fleet" || o.Name != "test" {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
	var n cli.NATSFlags
	n.Prefix = "a.b"
	if _, err := n.Options("test"); err == nil {
		t.Error("a bad prefix was accepted")
	}
	n = cli.NATSFlags{Prefix: "fleet", Creds: creds + "x"}
	if _, err := n.Options("test"); err == nil || !strings.Contains(err.Error(), "--creds") {
		t.Errorf("credentials that are not there: %v", err)
	}
}
