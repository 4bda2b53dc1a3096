package attack

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// answer is what an agent says when it is asked for a certificate request.
type answer func(n *node, c attest.Challenge) *events.CommandAnswered

// agent plays a node's agent, present and with manners of its own.
func (w *world) agent(id fleet.NodeID, say answer) *node {
	w.t.Helper()
	n := w.node(id)
	stop, err := w.bus.ServeCommands(w.ctx, id, func(ctx context.Context, e *events.Event) *events.Event {
		said := &events.CommandAnswered{}
		switch d := e.Data.(type) {
		case *events.CertificateRequested:
			said = say(n, attest.Challenge{TrustDomain: d.TrustDomain, Node: id, Nonce: d.Nonce})
		case *events.CredentialDelivered:
			proof := w.statement(n, n.key, events.CredentialProved{Epoch: d.Epoch, Serial: d.Serial, Nonce: d.Nonce})
			if err := w.bus.State(ctx, proof); err != nil {
				said.Error = err.Error()
			}
		}
		return &events.Event{
			ID: events.NewID("answer", e.ID), Source: events.NodeSource(id), Type: events.TypeCommandAnswered, Node: id, Time: time.Now(), Data: said,
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.root.Cleanup(stop) // it stays when its row has been told
	w.beat(n, 1)
	return n
}

// request is a certificate request of the node's that asks for what change adds.
func request(n *node, change func(*x509.CertificateRequest)) string {
	tmpl := &x509.CertificateRequest{}
	change(tmpl)
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, n.key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func plain(*x509.CertificateRequest) {}

// shows answers with a plain request, and evidence for what challenge makes of
// the executor's, from the certificate that lies in a folder.
func shows(folder string, challenge func(*attest.Challenge)) answer {
	return func(n *node, c attest.Challenge) *events.CommandAnswered {
		said := &events.CommandAnswered{CSRPEM: request(n, plain)}
		c.CSRPEM = said.CSRPEM
		challenge(&c)
		var err error
		if said.Evidence, err = attest.ProversIn(folder).Prove(context.Background(), fleet.AttestorMTLSCert, c); err != nil {
			said.Error = err.Error()
		}
		return said
	}
}

func asAsked(*attest.Challenge) {}

// A node that shows a client certificate gets a credential only if it has that
// certificate's key, the certificate is its own, and it was asked just now.
func TestEvidenceThatIsNotTheNodesGetsNothing(t *testing.T) {
	site, elsewhere := newAuthority(t), newAuthority(t)
	own := func(id fleet.NodeID) string { return equipped(t, site, id) }
	spoiled := func(id fleet.NodeID, spoil func(*events.CommandAnswered)) answer {
		honest := shows(own(id), asAsked)
		return func(n *node, c attest.Challenge) *events.CommandAnswered {
			said := honest(n, c)
			spoil(said)
			return said
		}
	}
	rows := map[string]struct {
		id   fleet.NodeID
		say  answer
		want fleet.Reason
	}{
		"the certificate of another node":        {"n1", shows(own("somebody"), asAsked), attest.ReasonName},
		"a certificate by a CA of its own":       {"n2", shows(equipped(t, elsewhere, "n2"), asAsked), attest.ReasonCertificate},
		"evidence that was made for another day": {"n3", shows(own("n3"), func(c *attest.Challenge) { c.Nonce = "00000000000000000000000000000000" }), attest.ReasonSignature},
		"evidence for another key":               {"n4", shows(own("n4"), func(c *attest.Challenge) { c.CSRPEM = "another" }), attest.ReasonSignature},
		"evidence for another trust domain":      {"n5", shows(own("n5"), func(c *attest.Challenge) { c.TrustDomain = "other.example" }), attest.ReasonSignature},
		"no evidence":                            {"n6", spoiled("n6", func(a *events.CommandAnswered) { a.Evidence = nil }), attest.ReasonMissing},
		"evidence of another kind":               {"n7", spoiled("n7", func(a *events.CommandAnswered) { a.Evidence.Attestor = fleet.AttestorNodePlugin }), attest.ReasonKind},
		"a certificate without a signature":      {"n8", spoiled("n8", func(a *events.CommandAnswered) { a.Evidence.Signature = nil }), attest.ReasonSignature},
		"rubbish for a certificate":              {"n9", spoiled("n9", func(a *events.CommandAnswered) { a.Evidence.CertificatePEM = "rubbish" }), attest.ReasonMalformed},
		"a request by another key than its own": {"n10", spoiled("n10", func(a *events.CommandAnswered) {
			block, _ := pem.Decode([]byte(a.CSRPEM))
			block.Bytes[len(block.Bytes)-1] ^= 1
			a.CSRPEM = string(pem.EncodeToMemory(block))
		}), identity.CSRSignature},
		"rubbish for a request": {"n11", spoiled("n11", func(a *events.CommandAnswered) { a.CSRPEM = strings.ReplaceAll(a.CSRPEM, "M", "A") }), identity.CSRUnparsable},
	}
	ids := []fleet.NodeID{"greedy"}
	for _, c := range rows {
		ids = append(ids, c.id)
	}
	w := newWorld(t, fleet.AttestorMTLSCert, ids...)
	w.start(executorcmd.New(), "--dir", filepath.Join(w.dir, "executor"), "--attest-ca", site.File)
	for does, c := range rows {
		t.Run(does, func(t *testing.T) {
			w.t = t
			w.agent(c.id, c.say)
			w.failed(c.id, c.want)
		})
	}
	w.t = t
	w.greedy(own("greedy"))
	w.onlyIssued("greedy")
}

// greedy is attested, and asks for another's name and for the powers of a CA.
// It gets a credential: its own.
func (w *world) greedy(folder string) {
	w.t.Helper()
	w.agent("greedy", func(n *node, c attest.Challenge) *events.CommandAnswered {
		said := &events.CommandAnswered{CSRPEM: request(n, all)}
		c.CSRPEM = said.CSRPEM
		var err error
		if said.Evidence, err = attest.ProversIn(folder).Prove(w.ctx, fleet.AttestorMTLSCert, c); err != nil {
			said.Error = err.Error()
		}
		return said
	})
	r := w.next("greedy gets a credential", func(e *events.Event) bool { return e.Type == events.TypeCredentialIssued && e.Node == "greedy" })
	block, _ := pem.Decode([]byte(r.Event.Data.(*events.CredentialIssued).CertificatePEM))
	got, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	if got.IsCA || got.KeyUsage != x509.KeyUsageDigitalSignature || len(got.URIs) != 1 || got.URIs[0].String() != "spiffe://"+domain+"/greedy" ||
		len(got.DNSNames)+len(got.EmailAddresses)+len(got.IPAddresses) > 0 || got.Subject.String() != "" {
		w.t.Errorf("it may be %v, as %v %v %q, CA %v", got.KeyUsage, got.URIs, got.DNSNames, got.Subject, got.IsCA)
	}
	w.proved("greedy", identity.SerialOf(got))
}

// all is what a request can ask for.
func all(r *x509.CertificateRequest) {
	r.Subject = pkix.Name{CommonName: "somebody", OrganizationalUnit: []string{"nyc"}}
	r.URIs = []*url.URL{{Scheme: "spiffe", Host: domain, Path: "/somebody"}}
	r.DNSNames, r.EmailAddresses = []string{"somebody", "*"}, []string{"root@fleet.example"}
	r.ExtraExtensions = []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}, // a CA
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{0x03, 0x02, 0x01, 0x06}},       // that signs certificates
	}
}

func newAuthority(t *testing.T) *attest.Local {
	t.Helper()
	a, err := attest.OpenLocal(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func equipped(t *testing.T, a *attest.Local, id fleet.NodeID) string {
	t.Helper()
	folder := t.TempDir()
	if err := a.Equip(id, folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// onlyIssued reads the whole log again.
func (w *world) onlyIssued(ids ...fleet.NodeID) {
	w.t.Helper()
	records, err := w.bus.Log().Read(w.ctx, 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		if r.Event != nil && r.Event.Type == events.TypeCredentialIssued && !slices.Contains(ids, r.Event.Node) {
			w.t.Errorf("a credential was issued to %s", r.Event.Node)
		}
	}
}

// plugin behaves by the node that it is asked about.
const plugin = `#!/bin/sh
read -r question
case "$question" in
*'"node":"hangs"'*) exec sleep 600 ;;
*'"node":"crashes"'*) kill -SEGV $$ ;;
*'"node":"rubbish"'*) printf '\033[2J rubbish\n' ;;
*'"node":"nothing"'*) ;;
*'"node":"another"'*) echo good ;;
*'"node":"twice"'*) printf 'twice\ntwice\n' ;;
*'"node":"fails"'*) echo fails; echo 'no such token' >&2; exit 3 ;;
*'"node":"good"'*) echo good ;;
esac
`

// A plugin that does anything but print the node's id, in time, lets nobody in,
// and the log says what it did. The next one is asked all the same.
func TestAPluginThatMisbehavesLetsNobodyIn(t *testing.T) {
	rows := map[string]fleet.Reason{
		"hangs": attest.ReasonPluginTimeout, "crashes": attest.ReasonPlugin, "rubbish": attest.ReasonPlugin, "nothing": attest.ReasonPlugin,
		"another": attest.ReasonName, "twice": attest.ReasonPlugin, "fails": attest.ReasonPlugin,
	}
	ids := []fleet.NodeID{"good"}
	for id := range rows {
		ids = append(ids, fleet.NodeID(id))
	}
	w := newWorld(t, fleet.AttestorNodePlugin, ids...)
	file := filepath.Join(w.dir, "plugin.sh")
	if err := os.WriteFile(file, []byte(plugin), 0o700); err != nil {
		t.Fatal(err)
	}
	w.start(executorcmd.New(), "--dir", filepath.Join(w.dir, "executor"), "--attest-plugin", "sh "+file, "--attest-plugin-timeout", "2s")
	shown := func(n *node, _ attest.Challenge) *events.CommandAnswered {
		return &events.CommandAnswered{CSRPEM: request(n, plain), Evidence: &events.Evidence{Attestor: fleet.AttestorNodePlugin, Payload: "open sesame"}}
	}
	for id, want := range rows {
		t.Run("a plugin that "+id, func(t *testing.T) {
			w.t = t
			w.agent(fleet.NodeID(id), shown)
			w.failed(fleet.NodeID(id), want)
			w.next("it is asked again", func(e *events.Event) bool {
				d, ok := e.Data.(*events.ActionRequested)
				return ok && d.ID == fleet.NodeID(id) && d.Attempt > 1
			})
		})
	}
	w.t = t
	w.agent("good", shown)
	w.next("the good one is let in", func(e *events.Event) bool { return e.Type == events.TypeCredentialProved && e.Node == "good" })
	w.onlyIssued("good")
	w.quotesNothing("open sesame", "rubbish\n", "\x1b")
}

// quotesNothing of these on the whole log.
func (w *world) quotesNothing(words ...string) {
	w.t.Helper()
	records, err := w.bus.Log().Read(w.ctx, 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		for _, word := range words {
			if text := fmt.Sprintf("%v %s", r.Message.Header, r.Message.Data); strings.Contains(text, word) {
				w.t.Errorf("record %d quotes %q: %s", r.Sequence, word, text)
			}
		}
	}
}
