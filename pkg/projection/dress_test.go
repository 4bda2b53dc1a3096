package projection_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// dress is how texts and times of one history look. The fold keeps those of the
// usual shape in a shorter way than others, and must tell of all of them alike.
type dress struct{ key, session, serial, nonce, issuer, digest, ends int }

func drawDress(t *rapid.T) dress {
	look := func(label string) int { return rapid.IntRange(0, 4).Draw(t, label) }
	return dress{look("keys"), look("sessions"), look("serials"), look("nonces"), look("issuers"), look("digests"), look("ends")}
}

// text dresses one of the short names that machines draw.
func text(look int, name string) string {
	sum := sha256.Sum256([]byte(name))
	switch {
	case name == "" || len(name) > 5:
		return name // dressed already
	case look == 1:
		return fmt.Sprintf("%x", sum[:16])
	case look == 2:
		return fmt.Sprintf("sha256:%x", sum)
	case look == 3:
		return strings.Repeat(name+" ", 40)
	case look == 4:
		return fmt.Sprintf("%X", sum[:6+len(name)])
	}
	return name
}

// on dresses an event, if it wears anything.
func (d dress) on(e *events.Event) {
	if v := reflect.ValueOf(e.Data); !v.IsValid() || v.IsNil() {
		return
	}
	switch p := e.Data.(type) {
	case *events.NodeAppeared:
		p.Session, p.KeyFingerprint = text(d.session, p.Session), text(d.key, p.KeyFingerprint)
	case *events.NodeBundleReported:
		p.Digest = text(d.digest, p.Digest)
	case *events.CredentialIssued:
		p.KeyFingerprint, p.Serial, p.Nonce = text(d.key, p.KeyFingerprint), text(d.serial, p.Serial), text(d.nonce, p.Nonce)
		p.Issuer = text(d.issuer, p.Issuer)
		d.term(p)
	case *events.CredentialProved:
		p.Serial, p.Nonce = text(d.serial, p.Serial), text(d.nonce, p.Nonce)
	case *events.CredentialExpired:
		p.Serial = text(d.serial, p.Serial)
	case *events.CredentialRevoked:
		p.Serial = text(d.serial, p.Serial)
	}
}

// term has certificates begin long ago, or end when nobody will be there.
func (d dress) term(p *events.CredentialIssued) {
	if d.ends > 1 && p.NotAfter.Equal(storedAt(900)) {
		p.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	switch d.ends {
	case 3:
		p.NotBefore = time.Date(1500, 1, 1, 0, 0, 0, 7, time.UTC)
	case 4:
		p.NotBefore = midnight.Add(-time.Nanosecond)
	}
}

// held is a state as it was at a moment.
type held struct {
	still *projection.Still
	image projection.Image
}

// hold holds the state still, and takes its image: the two must stay the same.
func (m *foldMachine) hold(*rapid.T) {
	m.held = append(m.held, held{m.state.Still(), m.state.Image()})
}

func (m *foldMachine) checkHeld(t *rapid.T) {
	for _, h := range m.held {
		now := h.still.Image
		now.IDs = []projection.IDImage{}
		for id := range h.still.IDs() {
			now.IDs = append(now.IDs, id)
		}
		if !reflect.DeepEqual(h.image, now) {
			t.Fatalf("what was held still has changed (-was +is):\n%s", cmp.Diff(h.image, now))
		}
	}
}

// checkRestored puts the state together again from its image.
func (m *foldMachine) checkRestored(t *rapid.T) {
	again, err := projection.FromImage(m.state.Image())
	if err != nil {
		t.Fatal(err)
	}
	m.compare(t, "facts of the state put together again", m.facts, answersOf(again))
	m.compare(t, "image of the state put together again", m.state.Image(), again.Image())
}
