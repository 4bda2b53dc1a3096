package agent

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Node the agent speaks for.
func (a *Agent) Node() fleet.NodeID { return a.cfg.Node }

// Credential the node holds; nil while there is none. It must not be changed.
func (a *Agent) Credential() *events.CredentialDelivered { return a.credential.Load() }

// Signing is what a post of the node is signed with now: its key and its
// credential, which is nil while there is none. done must be called when the post
// has arrived or failed. The error is ErrStopping once the agent was told to stop:
// a node that has forgotten its credential must not go on unsigned.
//
// The node proves that it can sign only when no unsigned post of its is under way:
// a fleet that turns strict on that word refuses none.
func (a *Agent) Signing() (key crypto.Signer, c *events.CredentialDelivered, done func(), err error) {
	c, done, err = a.unsigned.begin(a.credential.Load)
	return a.key, c, done, err
}

// ErrStopping means that the agent was told to stop.
var ErrStopping = errors.New("agent is stopping")

// Stopping says that the agent was told to stop.
func (a *Agent) Stopping() bool { return a.unsigned.isGrounded() }

// flights counts the posts under way that are not signed.
type flights struct {
	mu sync.Mutex
	n  int
	// grounded: none begins any more, signed or not.
	grounded bool
	// landed is closed when n is 0 again; nil while nobody waits.
	landed chan struct{}
}

// begin looks for a credential, and counts where there is none. The two are one
// step for wait: who does not see a credential that is there by then is counted.
func (f *flights) begin(credential func() *events.CredentialDelivered) (*events.CredentialDelivered, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grounded {
		return nil, nil, ErrStopping
	}
	if c := credential(); c != nil {
		return c, func() {}, nil
	}
	f.n++
	return nil, sync.OnceFunc(f.end), nil
}

func (f *flights) ground(all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grounded = all
}

func (f *flights) isGrounded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grounded
}

func (f *flights) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.landed != nil {
		close(f.landed)
		f.landed = nil
	}
}

// wait returns when none is under way that began before. The caller has set the
// credential: no further one begins.
func (f *flights) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.landed == nil {
		f.landed = make(chan struct{})
	}
	landed := f.landed
	f.mu.Unlock()
	select {
	case <-landed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for unsigned posts: %w", context.Cause(ctx))
	}
}
