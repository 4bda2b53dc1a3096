package repo

import (
	"bytes"
	"crypto/tls"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/natscmd"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// initialize runs what the service init runs, with the folders of this machine
// in place of the container's, and returns the folder that the volume becomes.
func initialize(t *testing.T, project *types.Project, more ...string) string {
	t.Helper()
	service, bus := project.Services["init"], t.TempDir()
	here := map[string]string{}
	for _, v := range service.Volumes {
		switch v.Type {
		case types.VolumeTypeBind:
			here[v.Target] = v.Source
		case types.VolumeTypeVolume:
			here[v.Target] = bus
		}
	}
	if !slices.Equal(service.Command[:2], []string{"fleetfold", "nats"}) {
		t.Fatalf("init runs %q", service.Command)
	}
	var line []string
	for _, word := range service.Command[2:] {
		for there, path := range here {
			if rest, found := strings.CutPrefix(word, there); found {
				word = path + rest
				break
			}
		}
		if word == "/etc/nats" { // where the server finds its folder
			word = filepath.Join(bus, "server")
		}
		line = append(line, word)
	}
	cmd := natscmd.New()
	var said bytes.Buffer
	cmd.SetOut(&said)
	cmd.SetErr(&said)
	cmd.SetArgs(append(line, more...))
	if code := cli.Run(t.Context(), cmd); code != 0 {
		t.Fatalf("init %q ends with %d:\n%s", line, code, said.String())
	}
	return bus
}

// busOf is what a service mounts of the volume bus.
func busOf(t *testing.T, service types.ServiceConfig) (subpath, target string) {
	t.Helper()
	for _, v := range service.Volumes {
		if v.Source != "bus" {
			continue
		}
		if subpath != "" || v.Volume == nil {
			t.Fatalf("%s mounts %+v", service.Name, v)
		}
		// What the image has there must not be copied over the identity.
		if !v.ReadOnly || !v.Volume.NoCopy {
			t.Errorf("%s mounts %s writable, or with what its image has there", service.Name, v.Target)
		}
		subpath, target = v.Volume.Subpath, v.Target
	}
	return subpath, target
}

func TestComposeGivesEverybodyTheirOwnIdentity(t *testing.T) {
	project := loadCompose(t)
	bus := initialize(t, project)
	for name, want := range map[string]string{
		"planner": "urn:fleetfold:service:planner", "executor": "urn:fleetfold:service:executor", "operator": "urn:fleetfold:service:operator",
		"node-1": "spiffe://fleet.example/node-1", "node-2": "spiffe://fleet.example/node-2", "node-3": "spiffe://fleet.example/node-3",
	} {
		service := project.Services[name]
		subpath, target := busOf(t, service)
		identity := service.Environment["FLEETFOLD_IDENTITY"]
		if identity == nil || *identity != target {
			t.Errorf("%s looks for its identity elsewhere than at %s", name, target)
		}
		files := cli.InFolder(filepath.Join(bus, subpath))
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := pair.Leaf.URIs; len(got) != 1 || got[0].String() != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
		url := service.Environment["NATS_URL"]
		if url == nil || *url != "tls://nats:4222" {
			t.Errorf("%s does not ask for TLS", name)
		}
	}
	if ca := value(parse(t, project.Services["executor"].Command), "attest-ca"); ca != "/identity/ca.crt" {
		t.Errorf("the executor believes certificates of %s", ca)
	}
}

// Its comment says that the mode may be another.
func TestComposeGoesByTokensToo(t *testing.T) {
	project := loadCompose(t)
	bus := initialize(t, project, "--mode", "jwt")
	for _, name := range []string{"planner", "executor", "operator", "node-1", "node-2", "node-3"} {
		subpath, _ := busOf(t, project.Services[name])
		if cli.Creds(filepath.Join(bus, subpath)) == "" {
			t.Errorf("%s has no token", name)
		}
	}
	subpath, _ := busOf(t, project.Services["nats"])
	options, err := server.ProcessConfigFile(filepath.Join(bus, subpath, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	checkListeners(t, options)
	if len(options.TrustedOperators) != 1 || len(options.Users) != 0 {
		t.Errorf("there are %d operators and %d users", len(options.TrustedOperators), len(options.Users))
	}
}

func TestComposeServerAsksEverybody(t *testing.T) {
	project := loadCompose(t)
	bus := initialize(t, project)
	service := project.Services["nats"]
	subpath, target := busOf(t, service)
	if want := []string{"nats-server", "-c", target + "/nats-server.conf", "-sd", "/data"}; !slices.Equal(service.Command, want) || !mounted(service, "/data") {
		t.Errorf("nats runs %q, want %q", service.Command, want)
	}
	if got := service.DependsOn["init"].Condition; got != types.ServiceConditionCompletedSuccessfully {
		t.Errorf("nats starts when init is %q", got)
	}
	options, err := server.ProcessConfigFile(filepath.Join(bus, subpath, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	checkSecure(t, options)
	pair, err := tls.LoadX509KeyPair(filepath.Join(bus, subpath, "tls/server.crt"), filepath.Join(bus, subpath, "tls/server.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("nats"); err != nil {
		t.Error(err)
	}
}

// checkSecure holds a configuration to what SECURITY.md says of it.
func checkSecure(t *testing.T, o *server.Options) {
	t.Helper()
	checkListeners(t, o)
	if !o.TLSMap || o.SystemAccount != "SYS" || o.Cluster.Port != 0 {
		t.Error("who somebody is does not follow from the certificate, or others may join")
	}
	for _, u := range o.Users {
		if u.Password != "" || u.Permissions == nil || u.Permissions.Publish == nil || u.Permissions.Subscribe == nil || u.Account == nil || u.Account.Name == "SYS" {
			t.Errorf("user %s may do too much", u.Username)
		}
	}
	if len(o.Users) != 4+3 || len(o.Nkeys) != 0 {
		t.Errorf("there are %d users", len(o.Users))
	}
}

// checkListeners is what holds in each mode.
func checkListeners(t *testing.T, o *server.Options) {
	t.Helper()
	if o.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert || o.AllowNonTLS || o.TLSConfig.MinVersion != tls.VersionTLS13 {
		t.Error("TLS with client certificates is not asked of everybody")
	}
	if o.NoAuthUser != "" || o.Authorization != "" || o.Username != "" || o.DefaultSentinel != "" {
		t.Error("somebody may be anonymous")
	}
	if o.Websocket.Port != 0 || o.MQTT.Port != 0 || o.LeafNode.Port != 0 || o.Gateway.Port != 0 || o.ProfPort != 0 || o.HTTPSPort != 0 {
		t.Error("there is another listener")
	}
	if o.HTTPHost != "127.0.0.1" {
		t.Errorf("monitoring listens on %s", o.HTTPHost)
	}
	if !o.SyncAlways || o.MaxPayload != 2<<20 || o.MaxControlLine != 4<<10 || o.MaxSubs != 1024 {
		t.Errorf("sync is %v, limits are %d, %d and %d", o.SyncAlways, o.MaxPayload, o.MaxControlLine, o.MaxSubs)
	}
}

func TestGeneratedServersAskEverybody(t *testing.T) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		dir := t.TempDir()
		o := busdir.Options{Dir: dir, Mode: mode, Config: busconf.Config{TrustDomain: "fleet.example", Nodes: []fleet.NodeID{"a", "b", "c"}}}
		for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
			o.Servers = append(o.Servers, busdir.Server{Name: name, Host: name + ".example.org", Listen: "0.0.0.0:4222", Route: "0.0.0.0:6222"})
		}
		if _, err := busdir.Write(o); err != nil {
			t.Fatal(err)
		}
		for _, s := range o.Servers {
			options, err := server.ProcessConfigFile(busdir.ServerConfigFile(dir, s.Name))
			if err != nil {
				t.Fatalf("%s of mode %s: %v", s.Name, mode, err)
			}
			checkListeners(t, options)
			c := options.Cluster
			if options.ServerName != s.Name || c.Name == "" || len(options.Routes) != 3 || c.NoAdvertise {
				t.Errorf("%s is %q of cluster %q with %d routes", s.Name, options.ServerName, c.Name, len(options.Routes))
			}
			if c.TLSConfig == nil || c.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert || c.TLSConfig.MinVersion != tls.VersionTLS13 || c.TLSConfig.ClientCAs.Equal(options.TLSConfig.ClientCAs) {
				t.Errorf("routes of %s are open, or to whoever is a client", s.Name)
			}
			switch mode {
			case busconf.Tokens:
				if len(options.TrustedOperators) != 1 || options.TLSMap || len(options.Users)+len(options.Nkeys)+len(options.Accounts) != 0 {
					t.Errorf("%s of mode %s knows somebody by name", s.Name, mode)
				}
			case busconf.Certificates:
				if !options.TLSMap || len(options.Users) != 4+3 {
					t.Errorf("%s of mode %s has %d users", s.Name, mode, len(options.Users))
				}
			}
		}
	}
}
