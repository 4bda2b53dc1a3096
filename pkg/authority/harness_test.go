package authority_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func TestMain(m *testing.M) { leak.Main(m) }

const domain = "fleet.example"

// office is a fleet's log in memory, in fake time. The tests play its nodes.
type office struct {
	*testing.T
	ctx         context.Context
	log         *eventlog.Memory
	view        *view.View
	dir         string
	inventories map[string]*fleet.Inventory
	running     sync.WaitGroup
	warnings    strings.Builder
	out         io.Writer // to warnings, from any goroutine
}

func story(t *testing.T, tell func(o *office)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := &office{
			T: t, ctx: ctx, dir: dir, log: eventlog.NewMemory(events.DefaultSubjects(), time.Now), inventories: map[string]*fleet.Inventory{},
		}
		o.view, o.out = view.New(o.log), zerolog.SyncWriter(&o.warnings)
		o.running.Go(func() { _ = o.view.Run(ctx) })
		tell(o)
		cancel()
		o.running.Wait()
	})
}

func (o *office) Get(_ context.Context, digest string) (*fleet.Inventory, error) {
	return o.inventories[digest], nil
}

// want applies an inventory: nodes a and b in nyc, which has an intermediate, c
// in oslo, which has none.
func (o *office) want(change ...func(*fleet.Inventory)) *fleet.Inventory {
	o.Helper()
	node := func(id fleet.NodeID) fleet.Node {
		return fleet.Node{ID: id, Attestor: fleet.AttestorMTLSCert, CredTTL: time.Hour, RenewBefore: time.Minute}
	}
	inv := &fleet.Inventory{TrustDomain: domain, QuorumWidth: 1, Regions: []fleet.Region{
		{Name: "nyc", IntermediateCA: "nyc/ca", Nodes: []fleet.Node{node("a"), node("b")}},
		{Name: "oslo", Nodes: []fleet.Node{node("c")}},
	}}
	for _, f := range change {
		f(inv)
	}
	generation := uint64(len(o.inventories) + 1)
	digest := fmt.Sprintf("sha256:%064x", generation)
	o.inventories[digest] = inv
	o.append(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: digest, Generation: generation, Actor: "test"})
	return inv
}

func (o *office) append(kind events.Type, node fleet.NodeID, data events.Payload) {
	o.Helper()
	e := &events.Event{
		ID: events.NewID(string(kind), string(node), time.Now().String(), fmt.Sprintf("%+v", data)), Source: "fleetfold/test",
		Type: kind, Node: node, Time: time.Now(), Data: data,
	}
	if kind == events.TypeCredentialProved {
		e.DSSEMaterial = []byte("{}")
	}
	if _, err := o.log.Append(o.ctx, eventlog.Entry{Event: e}); err != nil {
		o.Fatal(err)
	}
	synctest.Wait()
}

func (o *office) issuers(dir string, change ...func(*authority.Config)) *authority.Issuers {
	o.Helper()
	c := authority.Config{Log: o.log, View: o.view, Inventories: o, Dir: filepath.Join(o.dir, dir), Logger: zerolog.New(o.out)}
	for _, f := range change {
		f(&c)
	}
	i, err := authority.New(c)
	if err != nil {
		o.Fatal(err)
	}
	return i
}

// issue gives a node a credential that it proves.
func (o *office) issue(i *authority.Issuers, inv *fleet.Inventory, id fleet.NodeID) *identity.Issued {
	o.Helper()
	ca, err := i.For(o.ctx, inv, inv.Find(id))
	if err != nil {
		o.Fatal(err)
	}
	key, _, err := identity.LoadOrCreateKey(filepath.Join(o.dir, "keys", string(id)))
	if err != nil {
		o.Fatal(err)
	}
	pem, err := identity.NewCSR(key)
	if err != nil {
		o.Fatal(err)
	}
	csr, err := identity.ParseCSR(pem)
	if err != nil {
		o.Fatal(err)
	}
	issued, err := ca.Issue(csr, id, inv.Find(id).CredTTL, time.Now())
	if err != nil {
		o.Fatal(err)
	}
	var epoch uint64
	o.view.Read(func(s *projection.State) { epoch = s.Ledger().Epoch(id) })
	o.append(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: epoch, Session: "s", KeyFingerprint: issued.KeyFingerprint})
	o.append(events.TypeCredentialIssued, id, &events.CredentialIssued{
		Epoch: epoch, Action: "a", Serial: issued.Serial, Nonce: "n", KeyFingerprint: issued.KeyFingerprint, NotBefore: issued.NotBefore,
		NotAfter: issued.NotAfter, Issuer: issued.Issuer, CertificatePEM: string(issued.CertificatePEM),
	})
	o.append(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: epoch, Serial: issued.Serial, Nonce: "n"})
	return issued
}

// report says that a node holds the present bundle.
func (o *office) report(id fleet.NodeID) {
	o.Helper()
	var digest string
	o.view.Read(func(s *projection.State) { digest = events.BundleDigest(s.Bundle(domain)...) })
	o.append(events.TypeNodeBundleReported, id, &events.NodeBundleReported{Epoch: 1, Digest: digest})
}

func (o *office) request(inv *fleet.Inventory, step events.RotationStep, region string) error {
	o.Helper()
	err := authority.Request(o.ctx, o.log, o.view, inv, step, region, authority.Word{Actor: "kim", At: time.Now()})
	synctest.Wait()
	return err
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o *office) root() (root projection.Issuer) {
	o.view.Read(func(s *projection.State) { root, _ = s.Root(domain) })
	return root
}

func (o *office) pending() (all []projection.IssuerStep) {
	synctest.Wait()
	o.view.Read(func(s *projection.State) { all = s.IssuerSteps() })
	return all
}

// types are those of the log's facts about trust, in order.
func (o *office) types() string {
	o.Helper()
	synctest.Wait()
	records, err := o.log.Read(o.ctx, 0, 10000)
	o.must(err)
	var words []string
	for _, r := range records {
		if word, ok := strings.CutPrefix(string(r.Event.Type), "trust."); ok {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// verify checks a chain against the bundle of the log, as the border does.
func (o *office) verify(issued *identity.Issued, id fleet.NodeID, region string) error {
	var roots [][]byte
	o.view.Read(func(s *projection.State) { roots = s.Bundle(domain) })
	_, err := identity.Verification{Roots: roots, TrustDomain: domain, Node: id, Region: region, Now: time.Now()}.Leaf(issued.CertificatePEM)
	return err
}
