package natsd_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// copyFiles makes an identity of files that do not belong together.
func copyFiles(t *testing.T, cert, key, ca string) string {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{cert: busdir.CertFile, key: busdir.KeyFile, ca: busdir.CAFile} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// another is the folder of a bus with the same names and another authority.
func another(t *testing.T, o busdir.Options) string {
	t.Helper()
	o.Dir = t.TempDir()
	if _, err := busdir.Write(o); err != nil {
		t.Fatal(err)
	}
	return o.Dir
}

func TestStrangersAreKeptOut(t *testing.T) {
	b := newSecureBus(t, "a", "gone")
	b.config.Nodes = []fleet.NodeID{"a"}
	b.write()
	if err := b.server.Reload(); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(busdir.Node(b.dir, "a"), busdir.CAFile)
	foreign := another(t, busdir.Options{Config: b.config})
	own := cli.InFolder(busdir.Node(foreign, "a"))
	for name, folder := range map[string]string{
		"a node that the configuration does not name": busdir.Node(b.dir, "gone"),
		"a certificate of another authority":          copyFiles(t, own.Cert, own.Key, ca),
		"the server's certificate":                    copyFiles(t, filepath.Join(b.dir, "server", busconf.CertFile), filepath.Join(b.dir, "server", busconf.KeyFile), ca),
		"the certificate of the authority itself":     copyFiles(t, filepath.Join(b.dir, "ca", "ca.crt"), filepath.Join(b.dir, "ca", "ca.key"), ca),
		"an expired certificate":                      b.expired(ca),
	} {
		if _, err := b.tryDial(folder); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	for name, options := range map[string][]nats.Option{
		"no certificate":               {nats.RootCAs(ca)},
		"no certificate, but the name": {nats.RootCAs(ca), nats.UserInfo(busconf.Planner.URI(), "")},
		"no certificate, but a token":  {nats.RootCAs(ca), nats.Token(busconf.Planner.URI())},
	} {
		if c, err := nats.Connect(b.server.URL(), append(options, nats.NoReconnect())...); err == nil {
			c.Close()
			t.Errorf("%s was let in", name)
		}
	}
	if _, err := b.tryDial(busdir.Node(b.dir, "a")); err != nil {
		t.Errorf("a node of the fleet was kept out: %v", err)
	}
}

// expired is what the very authority signed, for a time that is over.
func (b *secureBus) expired(ca string) string {
	b.t.Helper()
	own := cli.InFolder(busdir.Node(b.dir, "a"))
	pair, err := tls.LoadX509KeyPair(own.Cert, own.Key)
	if err != nil {
		b.t.Fatal(err)
	}
	authority, err := tls.LoadX509KeyPair(filepath.Join(b.dir, "ca", "ca.crt"), filepath.Join(b.dir, "ca", "ca.key"))
	if err != nil {
		b.t.Fatal(err)
	}
	leaf, parent := pair.Leaf, authority.Leaf
	leaf.NotBefore, leaf.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, leaf.PublicKey, authority.PrivateKey)
	if err != nil {
		b.t.Fatal(err)
	}
	cert := filepath.Join(b.t.TempDir(), "expired.crt")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return copyFiles(b.t, cert, own.Key, ca)
}

// The name that somebody gives besides the certificate counts for nothing.
func TestTheCertificateAloneSaysWho(t *testing.T) {
	b := newSecureBus(t, "a", "b")
	inbox := nats.CustomInboxPrefix(busconf.NodeInbox("fleet", "a"))
	c, err := b.tryDial(busdir.Node(b.dir, "a"), inbox, nats.UserInfo(busconf.Planner.URI(), ""))
	if err != nil {
		return // to refuse it is as good
	}
	c.mustNotPublish("fleet.events.plan", "fleet.presence.b")
}

func TestNobodyIsHeardWithoutTLS(t *testing.T) { inEachMode(t, nobodyIsHeardWithoutTLS) }

func nobodyIsHeardWithoutTLS(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url(), "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONNECT {\"user\":%q}\r\nPUB fleet.presence.a 2\r\n{}\r\nPING\r\n", busconf.Planner.URI())
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, 1<<16)
	for {
		n, err := conn.Read(heard)
		if strings.Contains(string(heard[:n]), "PONG") {
			t.Fatal("the server answered without TLS")
		}
		if err != nil {
			break
		}
	}
	old := &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}
	if c, err := nats.Connect(b.server.URL(), nats.Secure(old), nats.NoReconnect()); err == nil {
		c.Close()
		t.Error("an old version of TLS was taken")
	}
	if got := b.count("FLEET_INGEST", ">"); got != 0 {
		t.Errorf("%d heartbeats without TLS", got)
	}
}

// A node of a new inventory is let in, and one of an old one cut off, without a restart.
func TestReloadFollowsTheInventory(t *testing.T) {
	b := newSecureBus(t, "a", "b")
	ended := make(chan struct{})
	if _, err := b.tryDial(busdir.Node(b.dir, "b"), nats.ClosedHandler(func(*nats.Conn) { close(ended) })); err != nil {
		t.Fatal(err)
	}
	stays := b.node("a")
	b.config.Nodes = []fleet.NodeID{"a", "c"}
	b.write()
	if err := b.server.Reload(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-patience(t).Done():
		t.Fatal("a node that may no longer connect stays connected")
	}
	if _, err := b.tryDial(busdir.Node(b.dir, "c")); err != nil {
		t.Errorf("the new node: %v", err)
	}
	if _, err := b.tryDial(busdir.Node(b.dir, "b")); err == nil {
		t.Error("the old node was let in again")
	}
	if !stays.IsConnected() {
		t.Error("a node that stays was cut off")
	}
	if err := b.planner.EnsureStreams(patience(t)); err != nil {
		t.Error(err)
	}
}

// What is too large is not read to its end: who sends it is cut off.
func TestANodeCannotSendWhatIsTooLarge(t *testing.T) { inEachMode(t, aNodeCannotSendWhatIsTooLarge) }

func aNodeCannotSendWhatIsTooLarge(t *testing.T, mode busconf.Mode) {
	b := secureBusIn(t, mode, "a")
	headers := "NATS/1.0\r\n" + strings.Repeat("a:b\r\n", 1<<20) + "\r\n"
	for said, line := range map[string]string{
		"Maximum Payload Violation":     "PUB fleet.presence.a 8388608\r\n",
		"maximum payload violation":     fmt.Sprintf("HPUB fleet.presence.a %d %d\r\n", len(headers), len(headers)),
		"Maximum Control Line Exceeded": "PUB fleet.presence." + strings.Repeat("a", 8<<10) + " 2\r\n",
		"maximum control line exceeded": "SUB " + strings.Repeat("a.", 8<<10) + "a 1\r\n",
	} {
		if got := b.raw("a", line); !strings.Contains(strings.ToLower(got), strings.ToLower(said)) {
			t.Errorf("%.40q: the server said %q, want %q", line, got, said)
		}
	}
	if got := b.count("FLEET_INGEST", ">"); got != 0 {
		t.Errorf("%d messages were stored", got)
	}
}

// proof is what a server that asks for tokens wants to read: the token, and the
// signature of its key over what the server said first.
func (b *secureBus) proof(id fleet.NodeID, info string) string {
	b.t.Helper()
	creds := cli.Creds(busdir.Node(b.dir, id))
	if creds == "" {
		return ""
	}
	text, err := os.ReadFile(creds)
	if err != nil {
		b.t.Fatal(err)
	}
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		b.t.Fatal(err)
	}
	key, err := jwt.ParseDecoratedUserNKey(text)
	if err != nil {
		b.t.Fatal(err)
	}
	var said struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(info, "INFO ")), &said); err != nil {
		b.t.Fatal(err)
	}
	signature, err := key.Sign([]byte(said.Nonce))
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf(`,"jwt":%q,"sig":%q`, token, base64.RawURLEncoding.EncodeToString(signature))
}

// raw speaks the protocol by hand, as a node, and returns what the server said
// until it hung up.
func (b *secureBus) raw(id fleet.NodeID, line string) string {
	b.t.Helper()
	files := cli.InFolder(busdir.Node(b.dir, id))
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url(), "tls://"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	info, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	if err != nil {
		b.t.Fatal(err)
	}
	secure := tls.Client(conn, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true})
	fmt.Fprintf(secure, "CONNECT {\"verbose\":false,\"headers\":true%s}\r\n%s", b.proof(id, info), line)
	heard, err := io.ReadAll(secure)
	if err != nil && len(heard) == 0 {
		b.t.Fatal(err)
	}
	return string(heard)
}
