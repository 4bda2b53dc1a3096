package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

func TestTheKeyIsMadeOnceAndKeptOverRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	first := start(t, agent.Config{Dir: dir})
	before := <-first.beats
	first.end(t)
	info, err := os.Stat(filepath.Join(dir, agent.KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v", info, err)
	}
	second := start(t, agent.Config{Dir: dir})
	after := <-second.beats
	second.end(t)
	if before.KeyFingerprint != after.KeyFingerprint {
		t.Error("the key changed over a restart")
	}
	if before.Session == after.Session || before.Session == "" {
		t.Errorf("sessions %q and %q do not tell the restart", before.Session, after.Session)
	}
	if before.LeaseSeconds != 15 || before.Serial != "" || before.Leaving {
		t.Errorf("heartbeat is %+v", before)
	}
}

func TestADeliveredCredentialIsKeptAndProved(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	d := i.enrol(t, r.fakeBus)
	e := <-r.states
	if e.Source != "spiffe://example.org/region/nyc/n.1" || e.Node != node || e.Type != events.TypeCredentialProved {
		t.Errorf("statement is %+v", e)
	}
	if p := e.Data.(*events.CredentialProved); p.Serial != d.Serial || p.Nonce != d.Nonce || p.Epoch != 1 {
		t.Errorf("statement says %+v", p)
	}
	cert, err := identity.VerifyLeaf([]byte(d.CertificatePEM), [][]byte{i.ca.CertificatePEM()}, domain, node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyEvent(e, cert.PublicKey); err != nil {
		t.Errorf("proof: %v", err)
	}
	if read(t, r.dir, agent.CertificateFile) != d.CertificatePEM {
		t.Error("the certificate on disk is another")
	}

	if a := r.command(t, d, events.TypeCredentialDelivered); a.Error != "" {
		t.Errorf("second delivery: %s", a.Error)
	}
	if again := <-r.states; again.ID == e.ID || proof.VerifyEvent(again, cert.PublicKey) != nil {
		t.Error("the proof is not stated anew at the second delivery")
	}
	for beat := range r.beats {
		if beat.Serial == d.Serial {
			break
		}
	}
	r.end(t)

	next := start(t, agent.Config{Dir: r.dir})
	if beat := <-next.beats; beat.Serial != d.Serial {
		t.Errorf("after a restart the serial is %q", beat.Serial)
	}
	next.end(t)
}

func TestAWrongCredentialIsRefusedAndTheOldOneKept(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	old := i.enrol(t, r.fakeBus)
	<-r.states
	csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested).CSRPEM
	strange, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strangeCSR, err := identity.NewCSR(strange)
	if err != nil {
		t.Fatal(err)
	}
	for want, d := range map[string]*events.CredentialDelivered{
		"spiffe_id_mismatch":     i.deliver(t, csr, "other", time.Hour),
		"other_key":              i.deliver(t, string(strangeCSR), node, time.Hour),
		"chain_untrusted":        with(i.deliver(t, csr, node, time.Hour), func(d *events.CredentialDelivered) { d.BundlePEM = string(newIssuer(t).ca.CertificatePEM()) }),
		"other_serial":           with(i.deliver(t, csr, node, time.Hour), func(d *events.CredentialDelivered) { d.Serial = "00" }),
		"certificate_unparsable": with(i.deliver(t, csr, node, time.Hour), func(d *events.CredentialDelivered) { d.CertificatePEM = "x" }),
	} {
		if a := r.command(t, d, events.TypeCredentialDelivered); !strings.Contains(a.Error, want) {
			t.Errorf("%s: answered %q", want, a.Error)
		}
	}
	if len(r.states) != 0 {
		t.Error("a refused credential was proved")
	}
	if read(t, r.dir, agent.CertificateFile) != old.CertificatePEM || !strings.Contains(read(t, r.dir, agent.CredentialFile), old.Serial) {
		t.Error("the old credential is gone")
	}
	r.end(t)
}

func with(d *events.CredentialDelivered, change func(*events.CredentialDelivered)) *events.CredentialDelivered {
	change(d)
	return d
}

func TestAProofThatIsNotAckedIsAnsweredAsAnError(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested)
	d := i.deliver(t, csr.CSRPEM, node, time.Hour)
	r.fail(nil, errors.New("no ack"))
	if a := r.command(t, d, events.TypeCredentialDelivered); a.Error != "publish proof: no ack" {
		t.Errorf("answered %q", a.Error)
	}
	r.fail(nil, nil)
	if a := r.command(t, d, events.TypeCredentialDelivered); a.Error != "" || len(r.states) != 1 {
		t.Errorf("second delivery answered %q", a.Error)
	}
	r.end(t)
}

func TestStopAndForgetLeavesNothingBehind(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	i.enrol(t, r.fakeBus)
	if a := r.command(t, &events.NodeStopRequested{Reason: "decommissioned", Forget: true}, events.TypeNodeStopRequested); a.Error != "" {
		t.Fatal(a.Error)
	}
	if last := r.ended(t); last == nil || !last.Leaving || last.Serial != "" {
		t.Errorf("last heartbeat is %+v", last)
	}
	for _, name := range []string{agent.KeyFile, agent.CredentialFile, agent.CertificateFile} {
		if exists(r.dir, name) {
			t.Errorf("%s is still there", name)
		}
	}
	if a := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested); a.Error == "" {
		t.Error("a stopped agent still answers")
	}
}

func TestStopKeepsTheKeyUnlessToldToForget(t *testing.T) {
	r := start(t, agent.Config{Dir: t.TempDir()})
	if a := r.command(t, &events.NodeStopRequested{Reason: "operator"}, events.TypeNodeStopRequested); a.Error != "" {
		t.Fatal(a.Error)
	}
	if last := r.ended(t); last == nil || !last.Leaving {
		t.Errorf("last heartbeat is %+v", last)
	}
	if !exists(r.dir, agent.KeyFile) {
		t.Error("the key is gone")
	}
}

func TestAnUnknownCommandIsAnswered(t *testing.T) {
	r := start(t, agent.Config{Dir: t.TempDir()})
	if a := r.command(t, &events.NodeLeft{}, events.TypeNodeLeft); !strings.Contains(a.Error, `"node.left" is not known`) {
		t.Errorf("answered %q", a.Error)
	}
	r.end(t)
}

func TestTwoAgentsCannotShareAFolder(t *testing.T) {
	r := start(t, agent.Config{Dir: t.TempDir()})
	<-r.beats
	bus := newBus()
	err := agent.Run(t.Context(), agent.Config{Node: node, Dir: r.dir}, bus, zerolog.Nop())
	var problem *agent.DirError
	if !errors.As(err, &problem) || !strings.Contains(err.Error(), "another agent, process ") || problem.Hint() == "" {
		t.Errorf("second agent: %v", err)
	}
	if !bus.closed {
		t.Error("the second agent's bus stays open")
	}
	r.end(t)
	again := start(t, agent.Config{Dir: r.dir})
	<-again.beats
	again.end(t)
}

// The agent of a parent that was killed may still be saying farewell when the
// next one is started.
func TestAnAgentMayWaitForTheOneBeforeIt(t *testing.T) {
	r := start(t, agent.Config{Dir: t.TempDir()})
	<-r.beats
	opened := make(chan error, 1)
	go func() {
		a, err := agent.Open(agent.Config{Node: node, Dir: r.dir, LockWait: time.Minute}, zerolog.Nop())
		if err == nil {
			err = a.Close()
		}
		opened <- err
	}()
	r.end(t)
	if err := <-opened; err != nil {
		t.Errorf("after the first agent ended: %v", err)
	}
}

func TestDamagedFilesAreRefusedAndNamed(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	i.enrol(t, r.fakeBus)
	r.end(t)
	good := read(t, r.dir, agent.CredentialFile)
	for name, c := range map[string]struct {
		file, text string
		id         fleet.NodeID
		hint       string
	}{
		"no JSON":           {file: agent.CredentialFile, text: "{", id: node, hint: "move the file away"},
		"no certificate":    {file: agent.CredentialFile, text: "{}", id: node, hint: "move the file away"},
		"a changed serial":  {file: agent.CredentialFile, text: strings.Replace(good, `"serial": "`, `"serial": "0`, 1), id: node, hint: "move the file away"},
		"another node's":    {file: agent.CredentialFile, text: good, id: "other", hint: "another node's"},
		"a broken key file": {file: agent.KeyFile, text: "junk", id: node, hint: "move it away"},
	} {
		path := filepath.Join(r.dir, c.file)
		before := read(t, r.dir, c.file)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := agent.Open(agent.Config{Node: c.id, Dir: r.dir}, zerolog.Nop())
		var problem *agent.DirError
		if !errors.As(err, &problem) || problem.Path != path || !strings.Contains(problem.Hint(), c.hint) {
			t.Errorf("%s: %v", name, err)
		}
		if read(t, r.dir, c.file) != c.text {
			t.Errorf("%s: the file was changed", name)
		}
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACredentialThatCountsForNothingIsPassedOver(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	i.enrol(t, r.fakeBus)
	r.end(t)
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	expired := start(t, agent.Config{Dir: r.dir, Now: later})
	if beat := <-expired.beats; beat.Serial != "" {
		t.Errorf("an expired credential is held: %+v", beat)
	}
	expired.end(t)
	if err := os.Remove(filepath.Join(r.dir, agent.KeyFile)); err != nil {
		t.Fatal(err)
	}
	rekeyed := start(t, agent.Config{Dir: r.dir})
	if beat := <-rekeyed.beats; beat.Serial != "" {
		t.Errorf("a lost key's credential is held: %+v", beat)
	}
	rekeyed.end(t)
}

func TestAStopBetweenTheTwoFilesIsMended(t *testing.T) {
	i, r := newIssuer(t), start(t, agent.Config{Dir: t.TempDir()})
	d := i.enrol(t, r.fakeBus)
	r.end(t)
	if err := os.WriteFile(filepath.Join(r.dir, agent.CertificateFile), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := start(t, agent.Config{Dir: r.dir})
	<-next.beats
	next.end(t)
	if read(t, r.dir, agent.CertificateFile) != d.CertificatePEM {
		t.Error("the copy stays behind")
	}
}

func TestTheKeyIsNeverLogged(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	bus, dir, done := newBus(), t.TempDir(), make(chan error, 1)
	go func() {
		done <- agent.Run(ctx, agent.Config{Node: node, Dir: dir}, bus, zerolog.New(zerolog.SyncWriter(&out)).Level(zerolog.TraceLevel))
	}()
	newIssuer(t).enrol(t, bus)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(read(t, dir, agent.KeyFile)) {
		if !strings.HasPrefix(line, "-----") && strings.Contains(out.String(), strings.TrimSpace(line)) {
			t.Fatal("the log holds key material")
		}
	}
	if !strings.Contains(out.String(), `"message":"credential kept"`) {
		t.Errorf("log: %s", out.String())
	}
}

func TestConfigReportsAllThatIsWrong(t *testing.T) {
	err := agent.Config{Node: "", Lease: 1500 * time.Millisecond, Jitter: 2}.Validate()
	for _, want := range []string{"node id", "no folder", "lease 1.5s", "jitter 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if err := (agent.Config{Node: "n", Dir: "d", Lease: 3 * time.Second, Heartbeat: 3 * time.Second}).Validate(); err == nil {
		t.Error("a heartbeat as rare as the lease is long was accepted")
	}
	if err := (agent.Config{Node: "n", Dir: "d", Lease: 2 * time.Hour}).Validate(); err == nil {
		t.Error("a lease that no heartbeat may ask for was accepted")
	}
	if err := (agent.Config{Node: "n", Dir: "d"}).Validate(); err != nil {
		t.Error(err)
	}
}
