package view

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

// kept is how many inventories are kept: the one in force, and those a roll
// back or an old action may ask for.
const kept = 4

// Fetch returns the text of an inventory by its digest.
type Fetch func(ctx context.Context, digest string) ([]byte, error)

// Inventories finds inventories by the digest of their text, and keeps the few
// last asked for. It is safe for use from any goroutine.
type Inventories struct {
	fetch Fetch

	mu     sync.Mutex
	recent []parsed // last used first
}

type parsed struct {
	digest    string
	inventory *fleet.Inventory
}

// NewInventories returns an empty cache in front of fetch.
func NewInventories(fetch Fetch) *Inventories { return &Inventories{fetch: fetch} }

// Get returns the inventory whose text has that digest. It is shared: the
// caller must not change it. A failure is not kept: the next Get tries again.
func (i *Inventories) Get(ctx context.Context, digest string) (*fleet.Inventory, error) {
	if inv := i.find(digest); inv != nil {
		return inv, nil
	}
	text, err := i.fetch(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("fetch inventory %s: %w", digest, err)
	}
	if have := inventory.Digest(text); have != digest {
		return nil, fmt.Errorf("fetch inventory %s: the text that came has digest %s", digest, have)
	}
	inv, report := inventory.Parse(text)
	if err := report.Err(); err != nil {
		return nil, fmt.Errorf("parse inventory %s: %w", digest, err)
	}
	return i.keep(digest, inv), nil
}

func (i *Inventories) find(digest string) *fleet.Inventory {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := i.index(digest)
	if at < 0 {
		return nil
	}
	found := i.recent[at]
	i.recent = slices.Insert(slices.Delete(i.recent, at, at+1), 0, found)
	return found.inventory
}

// keep returns the inventory that is kept: when two fetched the same at once,
// the one that came first.
func (i *Inventories) keep(digest string, inv *fleet.Inventory) *fleet.Inventory {
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := i.index(digest); at >= 0 {
		return i.recent[at].inventory
	}
	i.recent = slices.Insert(i.recent, 0, parsed{digest, inv})
	i.recent = i.recent[:min(len(i.recent), kept)]
	return inv
}

func (i *Inventories) index(digest string) int {
	return slices.IndexFunc(i.recent, func(p parsed) bool { return p.digest == digest })
}
