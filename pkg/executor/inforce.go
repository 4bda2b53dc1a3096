package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// inForce keeps the inventory in force, since every decision asks for it.
type inForce struct {
	mu     sync.Mutex
	digest string
	last   *decide.Desired
	// loading is under way; nil when nobody loads. All others wait for it: a large
	// inventory takes its time to read.
	loading *load
}

type load struct {
	done chan struct{} // closed at the end
	err  error         // why there is nothing then
}

// get returns the empty inventory for the empty digest: before the first one
// nothing is wanted.
func (i *inForce) get(ctx context.Context, from Inventories, digest string) (*decide.Desired, error) {
	for {
		have, others := i.find(digest)
		switch {
		case have != nil:
			return have, nil
		case others == nil:
			return i.load(ctx, from, digest)
		}
		select {
		case <-others.done:
			if err := others.err; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return nil, err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("get inventory %s: %w", digest, context.Cause(ctx))
		}
	}
}

// find returns what is kept, or else what to wait for. If that is nil too, the
// caller has to load.
func (i *inForce) find(digest string) (*decide.Desired, *load) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last != nil && i.digest == digest {
		return i.last, nil
	}
	if i.loading != nil {
		return nil, i.loading
	}
	i.loading = &load{done: make(chan struct{})}
	return nil, nil
}

func (i *inForce) load(ctx context.Context, from Inventories, digest string) (made *decide.Desired, err error) {
	defer func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if err == nil {
			i.digest, i.last = digest, made
		}
		i.loading.err = err
		close(i.loading.done)
		i.loading = nil
	}()
	var inventory *fleet.Inventory
	if digest != "" {
		if inventory, err = from.Get(ctx, digest); err != nil {
			return nil, fmt.Errorf("get inventory %s: %w", digest, err)
		}
	}
	return decide.NewDesired(inventory), nil
}
