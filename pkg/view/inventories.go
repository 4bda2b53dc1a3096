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

// parsed is a text that was read. What is wrong with it will always be.
type parsed struct {
	digest    string
	inventory *fleet.Inventory
	err       error
}

// NewInventories returns an empty cache in front of fetch.
func NewInventories(fetch Fetch) *Inventories { return &Inventories{fetch: fetch} }

// Get returns the inventory whose text has that digest. It is shared: the
// caller must not change it. A text that could not be had is asked for again by
// the next Get; one that is no inventory is not read again, however often it is
// asked for.
func (i *Inventories) Get(ctx context.Context, digest string) (*fleet.Inventory, error) {
	if known, ok := i.find(digest); ok {
		return known.inventory, known.err
	}
	text, err := i.fetch(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("fetch inventory %s: %w", digest, err)
	}
	if have := inventory.Digest(text); have != digest {
		return nil, fmt.Errorf("fetch inventory %s: the text that came has digest %s", digest, have)
	}
	inv, report := inventory.Parse(text)
	read := parsed{digest: digest, inventory: inv}
	if err := report.Err(); err != nil {
		read = parsed{digest: digest, err: fmt.Errorf("parse inventory %s: %w", digest, err)}
	}
	read = i.keep(read)
	return read.inventory, read.err
}

func (i *Inventories) find(digest string) (parsed, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := i.index(digest)
	if at < 0 {
		return parsed{}, false
	}
	found := i.recent[at]
	i.recent = slices.Insert(slices.Delete(i.recent, at, at+1), 0, found)
	return found, true
}

// keep returns what is kept: when two fetched the same at once, the one that
// came first.
func (i *Inventories) keep(read parsed) parsed {
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := i.index(read.digest); at >= 0 {
		return i.recent[at]
	}
	i.recent = slices.Insert(i.recent, 0, read)
	i.recent = i.recent[:min(len(i.recent), kept)]
	return read
}

func (i *Inventories) index(digest string) int {
	return slices.IndexFunc(i.recent, func(p parsed) bool { return p.digest == digest })
}
