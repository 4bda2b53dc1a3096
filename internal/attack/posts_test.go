package attack

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// Each of a proof's faults is refused by a strict receiver with 401 and its reason,
// and counted by it; a forged post also by a permissive one.
func TestAPostByABadCertificateIsRefused(t *testing.T) {
	g := newTarget(t)
	g.be(true)
	g.answers(g.post(g.good()), http.StatusNoContent, "")
	g.answers(g.post(nil), http.StatusUnauthorized, receiver.Unsigned)
	rows := forgeries(t, g.root, g.nyc)
	delete(rows, "a certificate for another node's key") // it is one whose key signs
	counted := map[fleet.Reason]int{receiver.Unsigned: 1}
	for does, c := range rows {
		t.Run(does, func(t *testing.T) {
			g.t = t
			g.answers(g.post(g.holder("good", c.chain)), http.StatusUnauthorized, c.want)
			counted[c.want]++
			g.until(counts(c.want, counted[c.want]))
		})
	}
	g.t = t
	mixed := g.good()
	mixed.Key = g.good().Key
	g.answers(g.post(mixed), http.StatusUnauthorized, identity.ProofSignature)
	as := g.good()
	as.ID = "spiffe://" + domain + "/somebody"
	g.answers(g.post(as), http.StatusUnauthorized, identity.SPIFFEIDMismatch)
	g.answers(g.post(g.holder("stray", func(n *node) string { return g.nyc.issue(n.id, n.key, time.Now()) })), http.StatusUnauthorized, identity.IssuerRegion)
	g.answers(g.post(g.twofold("elsewhere")), http.StatusUnauthorized, identity.CertificateUnparsable)

	g.be(false)
	g.answers(g.post(g.twofold("elsewhere")), http.StatusUnauthorized, identity.CertificateUnparsable)
	g.answers(g.post(mixed), http.StatusUnauthorized, identity.ProofSignature)
	g.answers(g.post(as), http.StatusUnauthorized, identity.SPIFFEIDMismatch)
	g.answers(g.post(nil), http.StatusNoContent, "")
	g.shown()
}

// twofold signs by the key of nyc's issuer, whose own certificate stands behind that
// of a node of no region, so that two readers could take either for the leaf.
func (g *target) twofold(id fleet.NodeID) *receiver.Credential {
	g.t.Helper()
	c := g.holder(id, func(n *node) string {
		leaf := strings.TrimSpace(g.root.issue(n.id, n.key, time.Now()))
		return leaf + "\u00a0\n" + string(g.nyc.ca.CertificatePEM())
	})
	c.Key = g.nyc.key
	return c
}

// What was revoked, and a copy of what was replaced, are refused as soon as the list
// has come; the same post again always, also after a restart.
func TestAPostThatCameOrWhoseCredentialEndedIsRefused(t *testing.T) {
	g := newTarget(t)
	g.be(true)
	serial := func(c *receiver.Credential) string { return serialOf(t, c.ChainPEM) }
	stolen, old, now := g.good(), g.good(), g.good()
	post := g.post(now)
	again := func() *http.Request { body, _ := post.GetBody(); return g.request(body) }
	g.answers(again(), http.StatusNoContent, "")
	g.answers(again(), http.StatusUnauthorized, receiver.Replayed)
	g.stop()
	g.start()
	g.until(fmt.Sprintf("fleetfold_receiver_posture_sequence %d", g.strict))
	g.answers(again(), http.StatusUnauthorized, receiver.Replayed)
	g.until(counts(receiver.Replayed, 1))
	g.answers(g.post(now), http.StatusNoContent, "")

	g.revoke(1, identity.Revoked{Serial: serial(stolen), At: time.Now()}, identity.Revoked{Serial: serial(old), At: time.Now(), Superseded: true})
	for c, want := range map[*receiver.Credential]fleet.Reason{stolen: identity.CertificateRevoked, old: identity.CertificateSuperseded} {
		g.heeds(c, want)
	}
	g.answers(g.post(now), http.StatusNoContent, "")
	g.be(false)
	g.answers(again(), http.StatusUnauthorized, receiver.Replayed)
	g.answers(g.post(stolen), http.StatusUnauthorized, identity.CertificateRevoked)
	g.answers(g.post(old), http.StatusUnauthorized, identity.CertificateSuperseded)
	g.shown()
}

// heeds posts until the receiver has heard of the list.
func (g *target) heeds(c *receiver.Credential, want fleet.Reason) {
	g.t.Helper()
	for g.ctx.Err() == nil {
		client := http.Client{Transport: g.transport}
		got, err := client.Do(g.post(c))
		if err != nil {
			g.t.Fatal(err)
		}
		got.Body.Close()
		g.note(got)
		if got.Header.Get(receiver.ReasonHeader) == string(want) && got.StatusCode == http.StatusUnauthorized {
			return
		}
	}
	g.t.Fatalf("it is never refused as %s", want)
}

// What is too large, too deep or has too many headers costs the receiver nothing
// worth mentioning, and keeps nobody else from posting.
func TestAPostThatIsTooMuchIsRefused(t *testing.T) {
	g := newTarget(t)
	g.be(true)
	structured := func(data string) *http.Request {
		return g.request(strings.NewReader(`{"specversion":"1.0","id":"1","type":"t","source":"s","data":` + data + `}`))
	}
	binary := func(body string, headers int) *http.Request {
		req := g.request(strings.NewReader(body))
		req.Header = http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Type": {"t"}, "Ce-Source": {"s"}}
		for n := range headers {
			req.Header[fmt.Sprint("Ce-X", n)] = []string{"1"}
		}
		return req
	}
	deep := strings.Repeat("[", 100_000)
	g.answers(structured(`"`+strings.Repeat("x", 8<<20)+`"`), http.StatusRequestEntityTooLarge, receiver.TooLarge)
	g.answers(binary(strings.Repeat("x", 8<<20), 0), http.StatusRequestEntityTooLarge, receiver.TooLarge)
	unknown := binary("", 0)
	unknown.Body, unknown.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 8<<20))), -1
	g.answers(unknown, http.StatusRequestEntityTooLarge, receiver.TooLarge)
	g.answers(structured(deep), http.StatusBadRequest, receiver.BadEvent)
	g.answers(g.request(strings.NewReader(deep)), http.StatusBadRequest, receiver.BadEvent)
	g.answers(binary("", 100), http.StatusRequestEntityTooLarge, receiver.TooLarge)
	g.answers(binary("", 1000), http.StatusRequestEntityTooLarge, receiver.TooLarge)
	plain := g.post(g.good()) // headers that are no attributes are not read for nothing, either
	for n := range 300 {
		plain.Header[fmt.Sprint("X-", n)] = []string{"1"}
	}
	g.answers(plain, http.StatusRequestEntityTooLarge, receiver.TooLarge)
	g.until(counts(receiver.TooLarge, 6))
	if got := g.millionHeaders(); !strings.Contains(got, "431 Request Header Fields Too Large") || !strings.Contains(got, `"reason":"too_large"`) {
		t.Errorf("a million headers are answered %q", got)
	}
	g.until(counts(receiver.TooLarge, 7))
	g.refused[receiver.TooLarge]++
	g.answers(g.post(g.good()), http.StatusNoContent, "")
	g.shown()
}

// millionHeaders sends what no client of net/http would, and returns the answer.
func (g *target) millionHeaders() string {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	go func() { // the server hangs up before it has read all
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("Ce-X: 1\r\n", 1_000_000)+"\r\n")
	}()
	answer, _ := io.ReadAll(io.LimitReader(conn, 512)) // it may end with a reset
	return string(answer)
}

func serialOf(t *testing.T, chain []byte) string {
	t.Helper()
	block, _ := pem.Decode(chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return identity.SerialOf(cert)
}
