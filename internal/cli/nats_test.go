package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
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

func TestWhichIdentity(t *testing.T) {
	folder := cli.InFolder("id")
	files := eventlog.TLSFiles{Cert: "c", Key: "k", CA: "ca"}
	for name, c := range map[string]struct {
		env   map[string]string
		args  []string
		want  eventlog.TLSFiles
		wrong string
	}{
		"none":                         {},
		"a folder":                     {args: []string{"--identity", "id"}, want: folder},
		"files":                        {args: []string{"--tlscert", "c", "--tlskey", "k", "--tlsca", "ca"}, want: files},
		"the nats command's variables": {env: map[string]string{"NATS_CERT": "c", "NATS_KEY": "k", "NATS_CA": "ca"}, want: files},
		"only a CA":                    {args: []string{"--tlsca", "ca"}, want: eventlog.TLSFiles{CA: "ca"}},
		"typed files silence the environment's folder":    {env: map[string]string{"FLEETFOLD_IDENTITY": "id"}, args: []string{"--tlscert", "c", "--tlskey", "k", "--tlsca", "ca"}, want: files},
		"a typed folder silences the environment's files": {env: map[string]string{"NATS_CERT": "c", "NATS_KEY": "k"}, args: []string{"--identity", "id"}, want: folder},
		"both typed":          {args: []string{"--identity", "id", "--tlsca", "ca"}, wrong: "give one or the others"},
		"both of environment": {env: map[string]string{"FLEETFOLD_IDENTITY": "id", "NATS_CA": "ca"}, wrong: "give one or the others"},
		"a certificate alone": {args: []string{"--tlscert", "c"}, wrong: "belong together"},
		"a key alone":         {args: []string{"--tlskey", "k"}, wrong: "belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"FLEETFOLD_IDENTITY", "NATS_CERT", "NATS_KEY", "NATS_CA"} {
				t.Setenv(v, c.env[v])
			}
			var n cli.NATSFlags
			if code, _, errs := call(t, t.Context(), natsTool(&n), c.args...); code != 0 {
				t.Fatal(errs)
			}
			got, err := n.Files()
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %+v, %v, want %q", got, err, c.wrong)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// A service's certificate says where answers may come, and whether it may make consumers.
func TestTheIdentitySaysWhatTheConnectionIsFor(t *testing.T) {
	dir := t.TempDir()
	config := busconf.Config{TrustDomain: "fleet.example", Nodes: []fleet.NodeID{"a"}}
	if _, err := busdir.Write(busdir.Options{Dir: dir, Config: config}); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]eventlog.Options{
		busdir.Service(dir, busconf.Operator): {CustomInboxPrefix: "_INBOX.x.~operator", NoConsumers: true},
		busdir.Service(dir, busconf.Executor): {CustomInboxPrefix: "_INBOX.x.~executor"},
		busdir.Service(dir, busconf.Auditor):  {CustomInboxPrefix: "_INBOX.x.~auditor", NoConsumers: true},
		busdir.Node(dir, "a"):                 {},
	} {
		n := cli.NATSFlags{URL: "tls://a", Prefix: "x", Identity: folder}
		o, err := n.Options("test")
		if err != nil || o.TLS != cli.InFolder(folder) || o.CustomInboxPrefix != want.CustomInboxPrefix || o.NoConsumers != want.NoConsumers {
			t.Errorf("%s gives %+v, %v", folder, o, err)
		}
	}
	n := cli.NATSFlags{URL: "tls://a", Prefix: "x", Identity: filepath.Join(dir, "nowhere")}
	if _, err := n.Options("test"); err == nil || !strings.Contains(err.Error(), n.Identity) {
		t.Errorf("an identity that is not there: %v", err)
	}
}

func TestTheTokenOfAnIdentityIsShown(t *testing.T) {
	dir := t.TempDir()
	o := busdir.Options{Dir: dir, Mode: busconf.Tokens, Config: busconf.Config{TrustDomain: "fleet.example", Nodes: []fleet.NodeID{"a"}}}
	if _, err := busdir.Write(o); err != nil {
		t.Fatal(err)
	}
	folder := busdir.Node(dir, "a")
	own, other := filepath.Join(folder, busdir.CredsFile), filepath.Join(busdir.Service(dir, busconf.Auditor), busdir.CredsFile)
	for name, c := range map[string]struct {
		environment, typed []string
		want, wantErr      string
	}{
		"that of the folder":                     {nil, []string{"--identity=" + folder}, own, ""},
		"the folder was typed":                   {[]string{"NATS_CREDS", other}, []string{"--identity=" + folder}, own, ""},
		"the credentials were typed":             {[]string{"FLEETFOLD_IDENTITY", folder}, []string{"--creds=" + other}, other, ""},
		"both were typed":                        {nil, []string{"--identity=" + folder, "--creds=" + other}, "", "leave --creds out"},
		"a folder without a token, and that one": {nil, []string{"--identity=" + folderWithoutToken(t), "--creds=" + other}, other, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(c.environment); i += 2 {
				t.Setenv(c.environment[i], c.environment[i+1])
			}
			var n cli.NATSFlags
			if code, _, errs := call(t, t.Context(), natsTool(&n), c.typed...); code != 0 {
				t.Fatal(errs)
			}
			got, err := n.Options("test")
			if c.wantErr == "" && (err != nil || got.Creds != c.want) || c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("got %q, %v", got.Creds, err)
			}
		})
	}
	o.Dir, o.Now = t.TempDir(), time.Now().AddDate(-2, 0, 0)
	if _, err := busdir.Write(o); err != nil {
		t.Fatal(err)
	}
	n := cli.NATSFlags{URL: "tls://a", Prefix: "fleet", Identity: busdir.Node(o.Dir, "a")}
	if _, err := n.Options("test"); err == nil || !strings.Contains(err.Error(), "token ended") || !strings.Contains(err.Error(), n.Identity) {
		t.Errorf("a token that has ended: %v", err)
	}
}

func folderWithoutToken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := busdir.Write(busdir.Options{Dir: dir, Config: busconf.Config{}}); err != nil {
		t.Fatal(err)
	}
	return busdir.Service(dir, busconf.Operator)
}
