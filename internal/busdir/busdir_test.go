package busdir

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func options(dir string, nodes ...fleet.NodeID) Options {
	return Options{Dir: dir, Config: busconf.Config{TrustDomain: "fleet.example", Nodes: nodes}}
}

func mustWrite(t *testing.T, o Options) Report {
	t.Helper()
	r, err := Write(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// files maps each file below dir to its content, and checks its mode.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == filepath.Join(dir, ".lock") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch mode := info.Mode().Perm(); {
		case d.IsDir() && path != dir && mode != 0o700:
			t.Errorf("folder %s has mode %04o", path, mode)
		case filepath.Ext(path) == ".key" && mode != 0o600:
			t.Errorf("key %s has mode %04o", path, mode)
		}
		if d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEverybodyGetsAnIdentityOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bus")
	long := fleet.NodeID(strings.Repeat("x.", 60) + "y")
	first := mustWrite(t, options(dir, "a", "rack/n.1", long))
	if len(first.Created) != len(busconf.Services)+3+1 || !first.Changed {
		t.Errorf("created %q", first.Created)
	}
	before := files(t, dir)
	for _, want := range []string{
		"ca/ca.key", "ca/ca.crt", "server/nats-server.conf", "server/tls/ca.crt", "server/tls/server.crt", "server/tls/server.key",
		"identities/planner/identity.crt", "identities/auditor/identity.key", "identities/operator/ca.crt", "identities/executor/identity.crt",
		"identities/nodes/a/identity.crt", "identities/nodes/rack%2Fn%2E1/identity.key",
	} {
		if before[want] == "" {
			t.Errorf("there is no %s", want)
		}
	}
	// The folders that are copied to other machines hold no key but their own.
	for file := range before {
		if strings.HasSuffix(file, "ca.key") && file != "ca/ca.key" {
			t.Errorf("the authority's key is at %s", file)
		}
	}
	again := mustWrite(t, options(dir, "a", "rack/n.1", long))
	if len(again.Created)+len(again.Renewed)+len(again.Left) != 0 || again.Changed {
		t.Errorf("the second time: %+v", again)
	}
	for file, text := range files(t, dir) {
		if before[file] != text {
			t.Errorf("%s was changed", file)
		}
	}
}

func TestACertificateNamesItsHolderOnly(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, "rack/n.1")
	o.Hosts = []string{"bus.example.org", "10.0.0.1", "localhost"}
	mustWrite(t, o)
	for path, want := range map[string]string{
		filepath.Join(Service(dir, busconf.Planner), CertFile): "urn:fleetfold:service:planner",
		filepath.Join(Node(dir, "rack/n.1"), CertFile):         "spiffe://fleet.example/rack/n.1",
		filepath.Join(dir, "server", busconf.CertFile):         "",
	} {
		cert, _, err := readCertificate(path)
		if err != nil {
			t.Fatal(err)
		}
		var uris []string
		for _, u := range cert.URIs {
			uris = append(uris, u.String())
		}
		if strings.Join(uris, " ") != want || cert.Subject.String() != "" || len(cert.EmailAddresses) != 0 || cert.IsCA {
			t.Errorf("%s names %q, %q, %q", path, uris, cert.Subject, cert.EmailAddresses)
		}
		if want != "" && (len(cert.DNSNames)+len(cert.IPAddresses) != 0 || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})) {
			t.Errorf("%s is good for %v at %v %v", path, cert.ExtKeyUsage, cert.DNSNames, cert.IPAddresses)
		}
		if want == "" {
			for _, host := range []string{"bus.example.org", "10.0.0.1", "localhost", "127.0.0.1", "::1"} {
				if err := cert.VerifyHostname(host); err != nil {
					t.Error(err)
				}
			}
			if !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
				t.Errorf("the server's certificate is good for %v", cert.ExtKeyUsage)
			}
		}
	}
}

func TestRenewalKeepsTheKey(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	o := options(dir, "a")
	o.Now = now
	mustWrite(t, o)
	before := files(t, dir)
	o.Now = now.AddDate(0, 7, 0)
	if r := mustWrite(t, o); len(r.Renewed) != 0 {
		t.Errorf("renewed %q with five months to go", r.Renewed)
	}
	o.Now = now.AddDate(0, 9, 0)
	if r := mustWrite(t, o); len(r.Renewed) != len(busconf.Services)+2 || len(r.Created) != 0 || !r.Changed {
		t.Errorf("with three months to go: %+v", r)
	}
	for file, text := range files(t, dir) {
		if changed := text != before[file]; changed != (filepath.Ext(file) == ".crt" && filepath.Base(file) != CAFile) {
			t.Errorf("%s was changed: %v", file, changed)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(Node(dir, "a"), CertFile), filepath.Join(Node(dir, "a"), KeyFile))
	if err != nil || !pair.Leaf.NotAfter.After(now.AddDate(1, 0, 0)) {
		t.Errorf("the renewed certificate: %v", err)
	}
	o.Now = now.AddDate(11, 0, 0)
	if _, err := Write(o); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "ca", "ca.crt")) {
		t.Errorf("an authority that is over: %v", err)
	}
}

func TestAnotherNameNeedsAnotherCertificate(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, options(dir, "a"))
	o := options(dir, "a")
	o.Config.TrustDomain, o.Hosts = "other.example", []string{"bus"}
	r := mustWrite(t, o)
	if want := []string{"identities/nodes/a", "server"}; !slices.Equal(r.Renewed, want) || len(r.Created) != 0 {
		t.Errorf("got %+v, want %q renewed", r, want)
	}
}

func TestNodesThatAreGoneAreShutOutAndNotForgotten(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, options(dir, "a", "b"))
	r := mustWrite(t, options(dir, "a"))
	if want := []string{"identities/nodes/b"}; !slices.Equal(r.Left, want) || !r.Changed {
		t.Errorf("got %+v, want %q shut out", r, want)
	}
	conf, err := os.ReadFile(ConfigFile(dir))
	if err != nil || bytes.Contains(conf, []byte("spiffe://fleet.example/b")) {
		t.Errorf("the node is still in the configuration, %v", err)
	}
	if !exists(filepath.Join(Node(dir, "b"), KeyFile)) {
		t.Error("its key is gone")
	}
	o := options(dir, "a")
	o.Prune = true
	if r := mustWrite(t, o); !slices.Equal(r.Pruned, []string{"identities/nodes/b"}) || exists(Node(dir, "b")) {
		t.Errorf("after pruning: %+v", r)
	}
}

func TestDamagedFilesAreNamedAndKept(t *testing.T) {
	for file, mend := range map[string]bool{
		"ca/ca.key": false, "ca/ca.crt": false, "identities/planner/identity.key": false, "server/tls/server.key": false,
		"identities/planner/identity.crt": true, "identities/planner/ca.crt": true, "server/tls/server.crt": true, "server/nats-server.conf": true,
	} {
		dir := t.TempDir()
		mustWrite(t, options(dir, "a"))
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Write(options(dir, "a"))
		if mend && err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !mend && (err == nil || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v", file, err)
		}
		text, readErr := os.ReadFile(path)
		if readErr != nil || (string(text) == "damaged") == mend {
			t.Errorf("%s now says %q, %v", file, text, readErr)
		}
	}
}

func TestAnAuthorityIsNeverMadeAnewBesideItsCertificate(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, options(dir, "a"))
	if err := os.Remove(filepath.Join(dir, "ca", "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(options(dir, "a")); err == nil || exists(filepath.Join(dir, "ca", "ca.key")) {
		t.Errorf("without its key: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if _, _, err := identity.LoadOrCreateKey(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, filepath.Join(dir, "ca", "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(options(dir, "a")); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("with another key: %v", err)
	}
}

func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, options(dir, "a"))
	key := filepath.Join(Node(dir, "a"), KeyFile)
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(options(dir, "a")); err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("got %v", err)
	}
}

func TestSeveralMayWriteAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := Write(options(dir, "a", "b")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r := mustWrite(t, options(dir, "a", "b")); len(r.Created)+len(r.Renewed) != 0 || r.Changed {
		t.Errorf("after all were done: %+v", r)
	}
}
