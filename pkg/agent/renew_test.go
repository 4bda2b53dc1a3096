package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/proof"
)

// renewing tells a story of an agent that holds an hour's credential d, to be
// renewed from its 45th minute on, in fake time. The bus answers no request by
// itself.
func renewing(t *testing.T, cfg agent.Config, tell func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered)) {
	t.Helper()
	dir, caDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca, _, err := identity.LoadOrCreateCA(caDir, domain, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		i := issuer{ca}
		cfg.Dir, cfg.Lease, cfg.Heartbeat = dir, time.Hour, 10*time.Minute
		if cfg.Random == nil {
			cfg.Random = steady
		}
		r := start(t, cfg)
		csr := r.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested)
		d := i.deliver(t, csr.CSRPEM, node, time.Hour)
		d.RenewBeforeSeconds = 15 * 60
		if a := r.command(t, d, events.TypeCredentialDelivered); a.Error != "" {
			t.Fatal(a.Error)
		}
		<-r.states
		tell(t, i, r, d)
		r.end(t)
	})
}

// requested waits for a request that names these serials, and checks that the
// key of the node has signed it.
func (r *running) requested(t *testing.T, i issuer, d *events.CredentialDelivered, pending string) *events.RenewalRequested {
	t.Helper()
	e := <-r.requests
	cert, err := identity.VerifyLeaf([]byte(d.CertificatePEM), [][]byte{i.ca.CertificatePEM()}, domain, node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyEvent(e, cert.PublicKey); err != nil || e.Source != "spiffe://example.org/region/nyc/n.1" {
		t.Errorf("request of %s: %v", e.Source, err)
	}
	data := e.Data.(*events.RenewalRequested)
	if data.Serial != d.Serial || data.PendingSerial != pending || data.Epoch != 1 {
		t.Errorf("requested %+v, want for %s with %q pending", data, d.Serial, pending)
	}
	return data
}

func (r *running) answer(typ events.Type, data events.Payload) {
	r.answers <- &events.Event{Source: events.SourceExecutor, Type: typ, Node: node, Data: data}
}

func (r *running) refuse(reason fleet.Reason) {
	r.answer(events.TypeCommandAnswered, &events.CommandAnswered{Error: "no", Reason: reason})
}

// renewed takes a request and answers it with a new credential.
func (r *running) renewed(t *testing.T, i issuer, d *events.CredentialDelivered) *events.CredentialDelivered {
	t.Helper()
	next := i.deliver(t, r.requested(t, i, d, "").CSRPEM, node, time.Hour)
	next.Nonce = "6e657874"
	r.answer(events.TypeCredentialDelivered, next)
	if p := (<-r.states).Data.(*events.CredentialProved); p.Serial != next.Serial || p.Nonce != next.Nonce {
		t.Errorf("proved %+v", p)
	}
	return next
}

// lastBeat is the newest heartbeat, after one more was sent.
func (r *running) lastBeat() (last *events.Heartbeat) {
	for len(r.beats) > 0 {
		<-r.beats
	}
	return <-r.beats
}

func inUse(t *testing.T, dir string) string {
	t.Helper()
	var c events.CredentialDelivered
	if err := json.Unmarshal([]byte(read(t, dir, agent.CredentialFile)), &c); err != nil {
		t.Fatal(err)
	}
	return c.Serial
}

func TestARenewalIsAskedForInItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		random   float64
		from, to time.Duration
	}{
		"at once when it is due":                 {0, 45 * time.Minute, 45*time.Minute + time.Second},
		"within the first third of what is left": {0.999, 49 * time.Minute, 50 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Time{}
			renewing(t, agent.Config{Random: func() float64 { return c.random }}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
				began = time.Now()
				r.requested(t, i, d, "")
				if at := time.Since(began); at < c.from || at > c.to {
					t.Errorf("asked %s after the issue, want %s to %s", at, c.from, c.to)
				}
				r.refuse("busy")
			})
		})
	}
}

func TestTheOldCredentialIsUsedUntilTheNewOneIsConfirmed(t *testing.T) {
	renewing(t, agent.Config{}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		next := r.renewed(t, i, d)
		if got := inUse(t, r.dir); got != d.Serial {
			t.Errorf("%s is in use, want the old one", got)
		}
		if beat := r.lastBeat(); beat.Serial != d.Serial || beat.PendingSerial != next.Serial {
			t.Errorf("heartbeat %+v does not name both", beat)
		}
		if a := r.command(t, &events.CredentialConfirmed{Serial: "0b"}, events.TypeCredentialConfirmed); a.Error == "" {
			t.Error("a confirmation of another one was taken")
		}
		if a := r.command(t, &events.CredentialConfirmed{Serial: next.Serial}, events.TypeCredentialConfirmed); a.Error != "" {
			t.Error(a.Error)
		}
		if got := inUse(t, r.dir); got != next.Serial || exists(r.dir, agent.PendingFile) || read(t, r.dir, agent.CertificateFile) != next.CertificatePEM {
			t.Errorf("%s is in use after the confirmation of %s", got, next.Serial)
		}
		if beat := r.lastBeat(); beat.Serial != next.Serial || beat.PendingSerial != "" {
			t.Errorf("heartbeat %+v", beat)
		}
		if a := r.command(t, &events.CredentialConfirmed{Serial: next.Serial}, events.TypeCredentialConfirmed); a.Error != "" {
			t.Errorf("a second confirmation: %s", a.Error)
		}
	})
}

func TestAConfirmationThatDoesNotComeIsAskedFor(t *testing.T) {
	renewing(t, agent.Config{}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		next := r.renewed(t, i, d)
		r.requested(t, i, d, next.Serial)
		r.answers <- nil // nobody listens
		r.requested(t, i, d, next.Serial)
		r.answer(events.TypeCredentialDelivered, next) // the log does not have the proof yet
		<-r.states
		r.requested(t, i, d, next.Serial)
		r.answer(events.TypeCredentialConfirmed, &events.CredentialConfirmed{Serial: next.Serial})
		synctest.Wait()
		if got := inUse(t, r.dir); got != next.Serial {
			t.Errorf("%s is in use", got)
		}
	})
}

// Failures are followed by growing waits, and by none at all once the
// credential has ended.
func TestARenewalIsTriedUntilTheCredentialHasEnded(t *testing.T) {
	renewing(t, agent.Config{Random: func() float64 { return 0.5 }}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		issued, tries, last := time.Now(), 0, time.Time{}
		end := time.After(2 * time.Hour)
		for done := false; !done; {
			select {
			case <-r.requests:
				r.answers <- nil
				tries++
				last = time.Now()
			case <-end:
				done = true
			}
		}
		if tries < 12 || tries > 30 {
			t.Errorf("%d tries in the last quarter of an hour", tries)
		}
		if at := last.Sub(issued); at < 58*time.Minute || at > time.Hour {
			t.Errorf("the last try came %s after the issue of an hour", at)
		}
		if got := inUse(t, r.dir); got != d.Serial {
			t.Errorf("%s is in use", got)
		}
	})
}

func TestWhatIsNotTheNodesIsNotTaken(t *testing.T) {
	renewing(t, agent.Config{}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		csr := r.requested(t, i, d, "").CSRPEM
		r.answer(events.TypeCredentialDelivered, i.deliver(t, csr, "n2", time.Hour))
		r.requested(t, i, d, "")
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		other, err := identity.NewCSR(key)
		if err != nil {
			t.Fatal(err)
		}
		r.answer(events.TypeCredentialDelivered, i.deliver(t, string(other), node, time.Hour))
		r.requested(t, i, d, "")
		r.refuse("busy")
		synctest.Wait()
		if exists(r.dir, agent.PendingFile) || len(r.states) != 0 || inUse(t, r.dir) != d.Serial {
			t.Error("a credential that is not the node's was taken")
		}
	})
}

func TestARotationIsFollowedAtOnceAndTheAgentAsksNoFurtherWithoutOne(t *testing.T) {
	renewing(t, agent.Config{}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		if a := r.command(t, &events.CredentialRotationRequested{Serial: "0b"}, events.TypeCredentialRotationRequested); a.Error != "" {
			t.Errorf("a rotation of what it does not hold: %s", a.Error)
		}
		began := time.Now()
		if a := r.command(t, &events.CredentialRotationRequested{Serial: d.Serial}, events.TypeCredentialRotationRequested); a.Error != "" {
			t.Error(a.Error)
		}
		r.requested(t, i, d, "")
		if took := time.Since(began); took > time.Second {
			t.Errorf("asked after %s", took)
		}
		r.refuse("renewal_too_early") // the log knows of no rotation
		r.requested(t, i, d, "")
		if at := time.Since(began); at < 44*time.Minute {
			t.Errorf("asked again after %s, although nothing is due", at)
		}
		r.refuse("busy")
	})
}

func TestAPendingCredentialThatWasSupersededIsDropped(t *testing.T) {
	renewing(t, agent.Config{}, func(t *testing.T, i issuer, r *running, d *events.CredentialDelivered) {
		next := r.renewed(t, i, d)
		r.requested(t, i, d, next.Serial)
		r.refuse("renewal_superseded")
		r.requested(t, i, d, "")
		r.refuse("busy")
		if exists(r.dir, agent.PendingFile) {
			t.Error("it is still kept")
		}
	})
}

// What stops left behind: each folder has a credential to go on with.
func TestARenewalIsTakenUpWhereAStopLeftIt(t *testing.T) {
	i, dir := newIssuer(t), t.TempDir()
	first := start(t, agent.Config{Dir: dir})
	csr := first.command(t, &events.CertificateRequested{Epoch: 1}, events.TypeCertificateRequested).CSRPEM
	old, next := i.deliver(t, csr, node, time.Hour), i.deliver(t, csr, node, 2*time.Hour)
	first.end(t)
	asJSON := func(d *events.CredentialDelivered) string {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	late := func() time.Time { return time.Now().Add(90 * time.Minute) }
	for name, c := range map[string]struct {
		held, pending    string
		now              func() time.Time
		serial, prepared string
	}{
		"before the new one was kept":          {held: asJSON(old), serial: old.Serial},
		"after it was kept":                    {held: asJSON(old), pending: asJSON(next), serial: old.Serial, prepared: next.Serial},
		"between the two files":                {held: asJSON(next), pending: asJSON(next), serial: next.Serial},
		"when the old one has ended meanwhile": {held: asJSON(old), pending: asJSON(next), now: late, serial: next.Serial},
		"with a pending file that is damaged":  {held: asJSON(old), pending: "{", serial: old.Serial},
		"with a pending one of another node":   {held: asJSON(old), pending: asJSON(i.deliver(t, csr, "n2", time.Hour)), serial: old.Serial},
	} {
		t.Run(name, func(t *testing.T) {
			for file, text := range map[string]string{agent.CredentialFile: c.held, agent.PendingFile: c.pending} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if text == "" {
					if err := os.Remove(filepath.Join(dir, file)); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := start(t, agent.Config{Dir: dir, Now: c.now})
			if beat := <-r.beats; beat.Serial != c.serial || beat.PendingSerial != c.prepared {
				t.Errorf("heartbeat %+v, want serial %s and %q pending", beat, c.serial, c.prepared)
			}
			r.end(t)
			if got := inUse(t, dir); got != c.serial {
				t.Errorf("%s is on disk, want %s", got, c.serial)
			}
		})
	}
}
