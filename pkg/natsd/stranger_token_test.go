package natsd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// credentials are the parts of a node's credentials.
func (b *secureBus) credentials(id fleet.NodeID) (*jwt.UserClaims, nkeys.KeyPair) {
	b.t.Helper()
	text := readFile(b.t, cli.Creds(busdir.Node(b.dir, id)))
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		b.t.Fatal(err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		b.t.Fatal(err)
	}
	key, err := jwt.ParseDecoratedUserNKey(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return claims, key
}

// forge has somebody sign claims, and writes them down with the user's key.
func (b *secureBus) forge(claims *jwt.UserClaims, signer, user nkeys.KeyPair) string {
	b.t.Helper()
	token, err := claims.Encode(signer)
	if err != nil {
		b.t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.t.TempDir(), "forged.creds")
	text := "-----BEGIN NATS USER JWT-----\n" + token + "\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *secureBus) key(file ...string) nkeys.KeyPair {
	b.t.Helper()
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(readFile(b.t, append([]string{b.dir, "keys"}, file...)...)))))
	if err != nil {
		b.t.Fatal(err)
	}
	return pair
}

// with connects with this certificate and these credentials, "" for none.
func (b *secureBus) with(folder, creds string, more ...nats.Option) (*client, error) {
	files := cli.InFolder(folder)
	c := &client{t: b.t, denied: make(chan string, 1024)}
	options := append([]nats.Option{
		nats.RootCAs(cli.InFolder(busdir.Service(b.dir, busconf.Planner)).CA), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.denied <- err.Error() }),
	}, more...)
	if folder != "" {
		options = append(options, nats.ClientCert(files.Cert, files.Key))
	}
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	}
	var err error
	if c.Conn, err = nats.Connect(b.server.URL(), options...); err != nil {
		return nil, err
	}
	b.t.Cleanup(c.Close)
	return c, nil
}

func TestStrangersWithoutATokenAreKeptOut(t *testing.T) {
	b := secureBusIn(t, busconf.Tokens, "a", "b", "gone")
	b.config.Nodes = []fleet.NodeID{"a", "b"}
	b.write()
	if err := b.server.Reload(); err != nil {
		t.Fatal(err)
	}
	own := busdir.Node(b.dir, "a")
	foreign := another(t, busdir.Options{Mode: busconf.Tokens, Config: b.config})
	claims := func(change func(*jwt.UserClaims)) *jwt.UserClaims {
		c, _ := b.credentials("a")
		change(c)
		return c
	}
	_, key := b.credentials("a")
	nodes, stranger := b.key("signing", "node.nk"), mustAccount(t)
	services, err := b.key("accounts", "SERVICES.nk").PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	unchanged := func(*jwt.UserClaims) {}
	other, _ := b.credentials("b")
	for name, c := range map[string]struct{ folder, creds string }{
		"a certificate without a token":                   {own, ""},
		"a token without a certificate":                   {"", cli.Creds(own)},
		"a token with a certificate of another authority": {busdir.Node(foreign, "a"), cli.Creds(own)},
		"a token of another operator":                     {own, cli.Creds(busdir.Node(foreign, "a"))},
		"a token of a node that is gone":                  {busdir.Node(b.dir, "gone"), cli.Creds(busdir.Node(b.dir, "gone"))},
		"a token of another key":                          {own, b.forge(other, nodes, key)},
		"a token that somebody signed":                    {own, b.forge(claims(unchanged), stranger, key)},
		"a token that has ended":                          {own, b.forge(claims(func(c *jwt.UserClaims) { c.Expires = time.Now().Add(-time.Minute).Unix() }), nodes, key)},
		"a token that is not valid yet":                   {own, b.forge(claims(func(c *jwt.UserClaims) { c.NotBefore = time.Now().Add(time.Hour).Unix() }), nodes, key)},
		"a token of the nodes' signing key for services":  {own, b.forge(claims(func(c *jwt.UserClaims) { c.IssuerAccount = services }), nodes, key)},
		"a token with rights of its own":                  {own, b.forge(claims(func(c *jwt.UserClaims) { c.Permissions.Pub.Allow.Add(">") }), nodes, key)},
		"a token that no key has to prove":                {own, b.forge(claims(func(c *jwt.UserClaims) { c.BearerToken = true }), nodes, key)},
	} {
		if _, err := b.with(c.folder, c.creds); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	for name, option := range map[string]nats.Option{"a name": nats.UserInfo(busconf.Planner.URI(), ""), "a password": nats.Token("x")} {
		if _, err := b.with(own, "", option); err == nil {
			t.Errorf("%s in place of a token was let in", name)
		}
	}
	if _, err := b.with(own, cli.Creds(own)); err != nil {
		t.Errorf("a node of the fleet was kept out: %v", err)
	}
}

func mustAccount(t *testing.T) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// The certificate opens the door, and the token alone says who has come in.
func TestTheTokenAloneSaysWho(t *testing.T) {
	b := secureBusIn(t, busconf.Tokens, "a", "b")
	c, err := b.with(busdir.Service(b.dir, busconf.Planner), cli.Creds(busdir.Node(b.dir, "a")))
	if err != nil {
		t.Fatal(err)
	}
	c.mustNotPublish("fleet.events.plan", "fleet.presence.b", "$JS.API.STREAM.INFO.FLEET")
	c.send("fleet.presence.a", "")
	b.await("FLEET_INGEST", "fleet.presence.a", 1)
}

// Whoever holds the nodes' signing key can be any node. Whatever name they choose,
// they reach nothing that is not a node's.
func TestTheTemplateLetsNoNameReachFurther(t *testing.T) {
	b := secureBusIn(t, busconf.Tokens, "a", "b")
	claims, key := b.credentials("a")
	for _, name := range []string{"*", ">", "a.b", "", "a b", "{{subject()}}", "b.>"} {
		claims.Name = name
		c, err := b.with(busdir.Node(b.dir, "a"), b.forge(claims, b.key("signing", "node.nk"), key))
		if err != nil {
			continue
		}
		c.mustNotPublish("fleet.events.plan", "fleet.presence", "$JS.API.STREAM.INFO.FLEET", "fleet.command.b")
		c.mustNotSubscribe("fleet.>", ">", "_INBOX.>", "fleet.events.>")
	}
}

// A node of a new inventory is let in without a reload; one of an old one is cut
// off by a reload, and if it comes back, what it had before does not open.
func TestTokensFollowTheInventory(t *testing.T) {
	b := secureBusIn(t, busconf.Tokens, "a", "b")
	before := readFile(t, busdir.ConfigFile(b.dir))
	b.config.Nodes = []fleet.NodeID{"a", "b", "c"}
	if b.write().Changed || string(readFile(t, busdir.ConfigFile(b.dir))) != string(before) {
		t.Error("the configuration follows the nodes")
	}
	ended := make(chan struct{})
	if _, err := b.tryDial(busdir.Node(b.dir, "b"), nats.ClosedHandler(func(*nats.Conn) { close(ended) })); err != nil {
		t.Fatal(err)
	}
	stays, err := b.tryDial(busdir.Node(b.dir, "c"))
	if err != nil {
		t.Fatalf("the new node: %v", err)
	}
	old := filepath.Join(t.TempDir(), "old.creds")
	if err := os.WriteFile(old, readFile(t, cli.Creds(busdir.Node(b.dir, "b"))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.config.Nodes = []fleet.NodeID{"a", "c"}
	if !b.write().Changed {
		t.Error("a node is gone and the configuration is the same")
	}
	if err := b.server.Reload(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-patience(t).Done():
		t.Fatal("a node that may no longer connect stays connected")
	}
	if !stays.IsConnected() {
		t.Error("a node that stays was cut off")
	}
	b.config.Nodes = []fleet.NodeID{"a", "b", "c"}
	if b.write().Changed {
		t.Error("a node that is back needs a reload")
	}
	if _, err := b.tryDial(busdir.Node(b.dir, "b")); err != nil {
		t.Errorf("the node that is back: %v", err)
	}
	if _, err := b.with(busdir.Node(b.dir, "b"), old); err == nil {
		t.Error("what was revoked was let in again")
	}
	if err := b.planner.EnsureStreams(patience(t)); err != nil {
		t.Error(err)
	}
}

// A server keeps streams below the name of their account, so a log goes from the
// one mode to the other by a new name for one folder, as SECURITY.md says.
func TestALogMovesToTheOtherMode(t *testing.T) {
	b := newSecureBus(t, "a")
	data := t.TempDir()
	b.restart(data)
	if err := b.planner.EnsureStreams(patience(t)); err != nil {
		t.Fatal(err)
	}
	appendFact(t, b.planner.Log())
	b.planner.Close()
	b.server.Shutdown()

	next := &secureBus{t: t, dir: t.TempDir(), mode: busconf.Tokens, config: b.config}
	for _, folder := range []string{"ca", "identities"} {
		if err := os.CopyFS(filepath.Join(next.dir, folder), os.DirFS(filepath.Join(b.dir, folder))); err != nil {
			t.Fatal(err)
		}
	}
	next.private()
	next.write()
	if was, is := readFile(t, busdir.Node(b.dir, "a"), busdir.CertFile), readFile(t, busdir.Node(next.dir, "a"), busdir.CertFile); string(was) != string(is) {
		t.Error("the node has another certificate than before")
	}
	services, err := next.key("accounts", "SERVICES.nk").PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readFile(t, busdir.ConfigFile(next.dir))), "# SERVICES\n  \""+services+"\"") {
		t.Error("the key does not stand below # SERVICES")
	}
	if err := os.Rename(filepath.Join(data, "jetstream", "SERVICES"), filepath.Join(data, "jetstream", services)); err != nil {
		t.Fatal(err)
	}
	next.restart(data)
	if err := next.planner.EnsureStreams(patience(t)); err != nil {
		t.Error(err)
	}
	if last, err := next.planner.Log().Last(patience(t)); last != 1 || err != nil {
		t.Errorf("the log ends at %d, %v", last, err)
	}
}

// restart begins again with the streams in data.
func (b *secureBus) restart(data string) {
	b.t.Helper()
	if b.server != nil {
		b.planner.Close()
		b.server.Shutdown()
	}
	b.server = start(b.t, natsd.Options{Dir: data, Port: natsd.RandomPort, Config: busdir.ConfigFile(b.dir), Logger: zerolog.Nop()})
	b.planner = b.bus(busconf.Planner)
}

// private gives copied keys the mode that they had.
func (b *secureBus) private() {
	b.t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".key" {
			return err
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}
