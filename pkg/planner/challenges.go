package planner

import (
	"context"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// challengesKept bounds the certificates that are kept until their nodes prove
// them: a few megabytes. Whoever takes longer has the log read.
const challengesKept = 4096

// challenges are the certificates that were issued last, by where they stand on
// the log: nearly every proof comes moments after. The fold has no text of them.
type challenges struct {
	mu     sync.Mutex
	issued map[uint64]*events.CredentialIssued
	order  []uint64 // a ring of the keys
	next   int
}

// add is called from the goroutine that folds.
func (c *challenges) add(r eventlog.Record) {
	if r.Event == nil {
		return
	}
	d, ok := r.Event.Data.(*events.CredentialIssued)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.issued == nil {
		c.issued = make(map[uint64]*events.CredentialIssued)
	}
	if len(c.order) < challengesKept {
		c.order = append(c.order, r.Sequence)
	} else {
		delete(c.issued, c.order[c.next])
		c.order[c.next] = r.Sequence
		c.next = (c.next + 1) % challengesKept
	}
	c.issued[r.Sequence] = d
}

// text is the certificate of a credential that the log has.
func (c *challenges) text(ctx context.Context, log eventlog.Reader, of *projection.Credential) ([]byte, error) {
	c.mu.Lock()
	d := c.issued[of.Sequence]
	c.mu.Unlock()
	if d == nil {
		var err error
		if d, err = eventlog.IssuedAt(ctx, log, of.Sequence); err != nil {
			return nil, err
		}
	}
	return []byte(d.CertificatePEM), nil
}
