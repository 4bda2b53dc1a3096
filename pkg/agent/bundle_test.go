package agent_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// published is a bundle as the trust stream has it.
func published(t *testing.T, sequence uint64, issuers ...issuer) (text []byte, digest string) {
	t.Helper()
	var roots [][]byte
	for _, i := range issuers {
		roots = append(roots, i.ca.CertificatePEM())
	}
	text, err := identity.SPIFFEBundle(domain, roots, sequence, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return text, events.BundleDigest(roots...)
}

// reports waits for a heartbeat that names that bundle.
func (r *running) reports(t *testing.T, digest string) {
	t.Helper()
	for b := range r.beats {
		if b.Bundle == digest {
			return
		}
	}
}

func TestTheNewestBundleIsKeptAndReported(t *testing.T) {
	i, next, r := newIssuer(t), newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	if first := <-r.beats; first.Bundle != "" {
		t.Errorf("at first the bundle is %q", first.Bundle)
	}
	i.enrol(t, r.fakeBus)
	_, came := published(t, 1, i)
	r.reports(t, came)
	if got := read(t, r.dir, agent.BundlePEMFile); got != string(i.ca.CertificatePEM()) {
		t.Errorf("the bundle that came with the credential is %q", got)
	}

	text, both := published(t, 7, i, next)
	r.bundles <- text
	r.reports(t, both)
	if read(t, r.dir, agent.BundleFile) != string(text) || !strings.Contains(read(t, r.dir, agent.BundlePEMFile), string(next.ca.CertificatePEM())) {
		t.Error("the files do not hold the published bundle")
	}
	older, _ := published(t, 6, i)
	for _, bad := range [][]byte{older, []byte("{}"), []byte("rubbish"), nil, text} {
		r.bundles <- bad
	}
	i.enrol(t, r.fakeBus) // what comes with a credential does not undo it either
	if read(t, r.dir, agent.BundleFile) != string(text) {
		t.Error("an older or unreadable bundle took the place of the newest")
	}
	r.end(t)

	again := start(t, agent.Config{Dir: r.dir})
	if beat := <-again.beats; beat.Bundle != both {
		t.Errorf("after a restart the bundle is %q", beat.Bundle)
	}
	again.bundles <- older
	if a := again.command(t, &events.NodeStopRequested{Reason: "decommissioned", Forget: true}, events.TypeNodeStopRequested); a.Error != "" {
		t.Fatal(a.Error)
	}
	again.ended(t)
	if exists(r.dir, agent.BundleFile) || exists(r.dir, agent.BundlePEMFile) {
		t.Error("a bundle is left behind")
	}
}

// A node may know the bundle before it has a credential.
func TestABundleBeforeTheCredential(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	text, digest := published(t, 3, i)
	r.bundles <- text
	r.reports(t, digest)
	r.end(t)
}

func TestADamagedBundleIsRefusedAndNamed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, agent.BundleFile)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := agent.Open(agent.Config{Node: node, Dir: dir}, zerolog.Nop())
	var problem *agent.DirError
	if !errors.As(err, &problem) || problem.Path != path || !strings.Contains(problem.Hint(), "move the file away") {
		t.Errorf("damaged bundle: %v", err)
	}
}

// An intermediate of another region than the one that the delivery names is
// refused by the agent, too.
func TestACredentialOfAnotherRegionIsRefused(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	region, _, err := identity.OpenCA(identity.CAConfig{Dir: t.TempDir(), TrustDomain: domain, Parent: i.ca, Region: "oslo"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested).CSRPEM
	for want, named := range map[string]string{"issuer_region": "nyc", "": "oslo"} {
		d := issuer{region}.deliver(t, csr, node, time.Hour)
		d.BundlePEM, d.Region = string(i.ca.CertificatePEM()), named
		if a := r.command(t, d, events.TypeCredentialDelivered); (a.Error == "") != (want == "") || !strings.Contains(a.Error, want) {
			t.Errorf("region %s answered %q", named, a.Error)
		}
	}
	r.end(t)
}
