package busdir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func tokenOptions(dir string, nodes ...fleet.NodeID) Options {
	o := options(dir, nodes...)
	o.Mode = busconf.Tokens
	return o
}

func mustCreds(t *testing.T, folder string) *jwt.UserClaims {
	t.Helper()
	claims, _, err := readCreds(filepath.Join(folder, CredsFile))
	if err != nil || claims == nil {
		t.Fatalf("credentials in %s: %v, %v", folder, claims, err)
	}
	return claims
}

// nodesAccount is what the server is told of the nodes' account.
func nodesAccount(t *testing.T, dir string) *jwt.AccountClaims {
	t.Helper()
	claims, err := readToken(accountToken(dir, busconf.Node.Account()), jwt.DecodeAccountClaims)
	if err != nil || claims == nil {
		t.Fatalf("account of nodes: %v, %v", claims, err)
	}
	return claims
}

func TestEverybodyGetsATokenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bus")
	ids := []fleet.NodeID{"a", "rack/n.1", "x@y:1"}
	var most atomic.Int64
	o := tokenOptions(dir, ids...)
	o.Progress = func(done, total int) {
		if total != len(busconf.Services)+len(ids) {
			t.Errorf("a total of %d", total)
		}
		most.Store(max(most.Load(), int64(done)))
	}
	if r := mustWrite(t, o); len(r.Created) != len(busconf.Services)+len(ids)+1 || !r.Changed || r.Mode != busconf.Tokens {
		t.Errorf("the first time: %+v", r)
	}
	if want := int64(len(busconf.Services) + len(ids)); most.Load() != want {
		t.Errorf("told of %d identities, want %d", most.Load(), want)
	}
	for _, id := range ids {
		if c := mustCreds(t, Node(dir, id)); c.Name != events.Token(id) || !c.HasEmptyPermissions() {
			t.Errorf("the token of %s is for %q and grants %+v", id, c.Name, c.UserPermissionLimits)
		}
	}
	before := files(t, dir)
	for file := range before {
		if secret := filepath.Ext(file) == ".nk" || filepath.Ext(file) == ".creds" || filepath.Ext(file) == ".jsonl"; secret {
			info, err := os.Stat(filepath.Join(dir, file))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", file, info.Mode(), err)
			}
			if strings.HasPrefix(file, "server") {
				t.Errorf("%s is in the server's folder", file)
			}
		}
	}
	if r := mustWrite(t, tokenOptions(dir, ids...)); len(r.Created)+len(r.Renewed) != 0 || r.Changed {
		t.Errorf("the second time: %+v", r)
	}
	for file, text := range files(t, dir) {
		if before[file] != text {
			t.Errorf("%s was changed", file)
		}
	}
}

// No secret is in what the server reads, and it has one size for any number of
// nodes.
func TestTheServerIsToldOfNoNode(t *testing.T) {
	few, many := t.TempDir(), t.TempDir()
	var ids []fleet.NodeID
	for i := range 50 {
		ids = append(ids, fleet.NodeID("node-"+string(rune('A'+i))))
	}
	mustWrite(t, tokenOptions(few, ids[0]))
	mustWrite(t, tokenOptions(many, ids[:26]...))
	size := func(dir string) int {
		text, err := os.ReadFile(ConfigFile(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"SO", "SA", "SU"} {
			for word := range strings.FieldsSeq(string(text)) {
				if word = strings.Trim(word, `":`); strings.HasPrefix(word, secret) && len(word) > 50 {
					t.Errorf("a seed is in the configuration of %s", dir)
				}
			}
		}
		return len(strings.ReplaceAll(string(text), dir, ""))
	}
	if a, b := size(few), size(many); a != b {
		t.Errorf("the configuration has %d bytes for one node and %d for 26", a, b)
	}
}

func TestTheModeOfAFolderStays(t *testing.T) {
	certificates, tokens := t.TempDir(), t.TempDir()
	mustWrite(t, options(certificates, "a"))
	mustWrite(t, tokenOptions(tokens, "a"))
	for _, c := range []struct {
		dir  string
		have busconf.Mode
		ask  busconf.Mode
		ok   bool
	}{
		{certificates, busconf.Certificates, "", true},
		{certificates, busconf.Certificates, busconf.Tokens, false},
		{tokens, busconf.Tokens, "", true},
		{tokens, busconf.Tokens, busconf.Certificates, false},
	} {
		o := options(c.dir, "a")
		o.Mode = c.ask
		before := files(t, c.dir)
		r, err := Write(o)
		if c.ok && (err != nil || r.Mode != c.have) || !c.ok && (err == nil || !strings.Contains(err.Error(), c.dir)) {
			t.Errorf("mode %q in a folder of mode %s: %+v, %v", c.ask, c.have, r, err)
		}
		for file, text := range files(t, c.dir) {
			if before[file] != text {
				t.Errorf("%s was changed", file)
			}
		}
	}
	large := Options{Dir: t.TempDir(), Config: busconf.Config{Nodes: make([]fleet.NodeID, busconf.TokensFrom)}}
	if mode, err := large.mode(); mode != busconf.Tokens || err != nil {
		t.Errorf("a large fleet has mode %q, %v", mode, err)
	}
}

func TestATokenIsRenewedForTheSameKey(t *testing.T) {
	dir := t.TempDir()
	o := tokenOptions(dir, "a")
	o.Now = time.Now()
	mustWrite(t, o)
	before := mustCreds(t, Node(dir, "a"))
	o.Now = o.Now.AddDate(0, 9, 0)
	if r := mustWrite(t, o); len(r.Renewed) != len(busconf.Services)+2 || len(r.Created) != 0 {
		t.Errorf("with three months to go: %+v", r)
	}
	after := mustCreds(t, Node(dir, "a"))
	if after.Subject != before.Subject || after.Expires <= before.Expires {
		t.Errorf("the token of %s to %d became one of %s to %d", before.Subject, before.Expires, after.Subject, after.Expires)
	}
}

// Whoever had an identity is shut out when the inventory does not name them any
// more, though their folder is long gone.
func TestWhatWasIssuedIsRevoked(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, tokenOptions(dir, "a", "b"))
	first := mustCreds(t, Node(dir, "b")).Subject
	if err := os.RemoveAll(Node(dir, "b")); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, tokenOptions(dir, "a", "b"))
	second := mustCreds(t, Node(dir, "b")).Subject
	if err := os.RemoveAll(Node(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if r := mustWrite(t, tokenOptions(dir, "a")); !r.Changed {
		t.Error("the server is not told")
	}
	revoked := nodesAccount(t, dir).Revocations
	for _, key := range []string{first, second} {
		if !revoked.IsRevoked(key, time.Now()) {
			t.Errorf("%s is not revoked", key)
		}
	}
	if r := mustWrite(t, tokenOptions(dir, "a", "b")); r.Changed {
		t.Error("a node that is back needs a reload")
	}
	third := mustCreds(t, Node(dir, "b")).Subject
	if revoked := nodesAccount(t, dir).Revocations; len(revoked) != 2 || revoked.IsRevoked(third, time.Now()) || third == second {
		t.Errorf("after it is back %v are revoked, and it has %s", revoked, third)
	}
	// What has ended by itself need not be remembered.
	o := tokenOptions(dir, "a", "b")
	o.Now = time.Now().AddDate(1, 1, 0)
	mustWrite(t, o)
	if revoked := nodesAccount(t, dir).Revocations; len(revoked) != 0 {
		t.Errorf("a year later %v are revoked", revoked)
	}
}

func TestNobodyKeepsTheKeyOfAnother(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, tokenOptions(dir, "a", "b"))
	text, err := os.ReadFile(filepath.Join(Node(dir, "a"), CredsFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(Node(dir, "b"), CredsFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, tokenOptions(dir, "a", "b"))
	if a, b := mustCreds(t, Node(dir, "a")), mustCreds(t, Node(dir, "b")); a.Subject == b.Subject || b.Name != "b" {
		t.Errorf("%s and %s of %q", a.Subject, b.Subject, b.Name)
	}
	mustWrite(t, tokenOptions(dir, "a"))
	if nodesAccount(t, dir).Revocations.IsRevoked(mustCreds(t, Node(dir, "a")).Subject, time.Now()) {
		t.Error("the one who stays is revoked with the one who goes")
	}
}

func TestATokenThatOthersKnowIsReplaced(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, tokenOptions(dir, "rack/a", "b"))
	before := mustCreds(t, Node(dir, "rack/a")).Subject
	o := tokenOptions(dir, "rack/a", "b")
	o.Revoke = []string{"identities/nodes/rack%2Fa/"}
	if r := mustWrite(t, o); !slices.Equal(r.Renewed, []string{"identities/nodes/rack%2Fa"}) || !r.Changed {
		t.Errorf("got %+v", r)
	}
	if after := mustCreds(t, Node(dir, "rack/a")).Subject; after == before || !nodesAccount(t, dir).Revocations.IsRevoked(before, time.Now()) {
		t.Errorf("%s became %s", before, after)
	}
	for _, folder := range []string{"identities/nodes/none", "..", "", "server", "/"} {
		o.Revoke = []string{folder}
		if _, err := Write(o); err == nil {
			t.Errorf("what is at %q was revoked", folder)
		}
	}
}

func TestDamagedKeysAndTokensAreNamedAndKept(t *testing.T) {
	for _, file := range []string{
		"keys/operator.nk", "keys/operator.jwt", "keys/accounts/NODES.nk", "keys/accounts/NODES.jwt", "keys/signing/node.nk",
		"keys/issued.jsonl", "identities/nodes/a/identity.creds", "identities/planner/identity.creds",
	} {
		for name, damage := range map[string]func(string) error{
			"damaged": func(path string) error { return os.WriteFile(path, []byte("SUdamaged\n"), 0o600) },
			"of another use": func(path string) error {
				text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "../../keys/accounts/SYS.nk"))
				if err != nil {
					text = []byte("SOAAAA\n")
				}
				return os.WriteFile(path, text, 0o600)
			},
		} {
			dir := t.TempDir()
			mustWrite(t, tokenOptions(dir, "a"))
			path := filepath.Join(dir, file)
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			_, err := Write(tokenOptions(dir, "a"))
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v", file, name, err)
			}
			if err != nil && strings.Contains(err.Error(), strings.TrimSpace(before[file])) {
				t.Errorf("%s: the error quotes it: %v", file, err)
			}
			if after := files(t, dir); after[file] != before[file] || after["server/nats-server.conf"] != before["server/nats-server.conf"] {
				t.Errorf("%s %s was replaced", file, name)
			}
		}
	}
}

func TestAKeyIsNeverMadeAnewBesideWhatItSigned(t *testing.T) {
	for _, file := range []string{"keys/operator.nk", "keys/accounts/SERVICES.nk", "keys/signing/planner.nk"} {
		dir := t.TempDir()
		mustWrite(t, tokenOptions(dir, "a"))
		path := filepath.Join(dir, file)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(tokenOptions(dir, "a")); err == nil || exists(path) {
			t.Errorf("without %s: %v", file, err)
		}
	}
}

// A list that ends in the middle of a line was cut short by a crash, before the
// token of that line was written.
func TestAListThatWasCutShortGoesOn(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, tokenOptions(dir, "a"))
	text, err := os.ReadFile(issuedFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(issuedFile(dir), append(text, []byte(`{"role":"no`)...), 0o600); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, tokenOptions(dir, "a", "b"))
	mustWrite(t, tokenOptions(dir, "a"))
	if n := len(nodesAccount(t, dir).Revocations); n != 1 {
		t.Errorf("%d are revoked, want 1", n)
	}
}

func TestServersOfAClusterHaveFoldersOfTheirOwn(t *testing.T) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		dir := t.TempDir()
		o := options(dir, "a")
		o.Mode = mode
		for _, n := range []string{"1", "2", "3"} {
			o.Servers = append(o.Servers, Server{Name: "nats-" + n, Host: "n" + n + ".example.org", Listen: "0.0.0.0:4222", Route: "0.0.0.0:6222"})
		}
		mustWrite(t, o)
		all := files(t, dir)
		for _, s := range o.Servers {
			conf := all["servers/"+s.Name+"/nats-server.conf"]
			for _, want := range []string{`server_name: "` + s.Name + `"`, "nats-route://n1.example.org:6222", "nats-route://n3.example.org:6222", `client_advertise: "` + s.Host + `:4222"`, `advertise: "` + s.Host + `:6222"`, "sync_interval: always", "verify: true"} {
				if !strings.Contains(conf, want) {
					t.Errorf("%s of %s lacks %s", s.Name, mode, want)
				}
			}
			cert, _, err := readCertificate(filepath.Join(dir, "servers", s.Name, busconf.RouteCertFile))
			if err != nil {
				t.Fatal(err)
			}
			ca, _, err := readCertificate(filepath.Join(dir, "servers", s.Name, busconf.CAFile))
			if err != nil {
				t.Fatal(err)
			}
			if cert.VerifyHostname(s.Host) != nil || cert.CheckSignatureFrom(ca) == nil {
				t.Errorf("the route of %s is for %q, or by the authority of clients", s.Name, cert.DNSNames)
			}
		}
		if r := mustWrite(t, o); r.Changed || len(r.Created)+len(r.Renewed) != 0 {
			t.Errorf("the second time: %+v", r)
		}
		o.Servers[1].Route = "6222"
		if _, err := Write(o); err == nil || !strings.Contains(err.Error(), "nats-2") {
			t.Errorf("a route without a host: %v", err)
		}
	}
}
