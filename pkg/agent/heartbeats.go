package agent

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Heartbeats is what became of an agent's heartbeats. The farewell is not one.
type Heartbeats struct {
	// Acknowledged and Failed count since the start.
	Acknowledged, Failed uint64
	// Last is when the newest acknowledged one was sent; zero before the first,
	// and again after the farewell.
	Last time.Time
	// Lease that it asked for.
	Lease time.Duration
}

// tally is Heartbeats for several goroutines. Its lock is never held while a
// heartbeat is under way: whoever asks is answered at once.
type tally struct {
	mu    sync.Mutex
	beats Heartbeats
}

func (t *tally) note(sent time.Time, lease time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.beats.Failed++
		return
	}
	t.beats.Acknowledged++
	t.beats.Last, t.beats.Lease = sent, lease
}

func (t *tally) left() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beats.Last = time.Time{}
}

// Heartbeats tells what became of the heartbeats so far. It may be called from
// any goroutine.
func (a *Agent) Heartbeats() Heartbeats {
	a.tally.mu.Lock()
	defer a.tally.mu.Unlock()
	return a.tally.beats
}

// Ready is nil while the lease of the last acknowledged heartbeat runs. The
// lease is counted from the sending, so that the node is never called ready
// after its lease ended. It may be called from any goroutine.
func (a *Agent) Ready() error {
	beats := a.Heartbeats()
	last := beats.Last
	if last.IsZero() {
		return errors.New("no heartbeat was acknowledged")
	}
	if ago := a.cfg.Now().Sub(last); ago >= beats.Lease {
		return fmt.Errorf("the last acknowledged heartbeat was sent %s ago, its lease was %s", ago.Round(time.Second), beats.Lease)
	}
	return nil
}

// NotAfter is the end of the credential that the node holds; ok is false while
// it holds none. It may be called from any goroutine.
func (a *Agent) NotAfter() (end time.Time, ok bool) {
	_, end, ok = validity(a.credential.Load())
	return end, ok
}

// validity is the window of a credential; false if it is nil or has none.
func validity(c *events.CredentialDelivered) (from, until time.Time, ok bool) {
	if c == nil {
		return from, until, false
	}
	block, _ := pem.Decode([]byte(c.CertificatePEM))
	if block == nil {
		return from, until, false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return from, until, false
	}
	return cert.NotBefore, cert.NotAfter, true
}
