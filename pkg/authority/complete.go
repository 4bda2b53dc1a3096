package authority

import (
	"context"
	"errors"

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// wanted is what the intermediates that there should be follow from.
type wanted struct {
	inventory string // digest
	root      string // fingerprint
}

// complete makes the intermediates that are missing below a root that issues: once
// a root was activated, or an inventory wants one more. A region's bundle and
// revocation lists are whole then before its first issue, and not by it. It makes
// no root, and what it cannot make is made, or reported, at the next issue.
func (i *Issuers) complete(ctx context.Context) error {
	if err := i.takeTurn(ctx); err != nil {
		return err
	}
	defer i.giveTurn()
	var now wanted
	i.View.Read(func(s *projection.State) { now.inventory = s.Inventory().Digest })
	if now.inventory == "" {
		return nil
	}
	inv, err := i.Inventories.Get(ctx, now.inventory)
	if err != nil || inv == nil {
		return nil // whoever decides on it says so
	}
	i.View.Read(func(s *projection.State) {
		if root, ok := s.Root(inv.TrustDomain); ok {
			now.root = root.Fingerprint
		}
	})
	if now.root == "" || now == i.completed {
		return nil
	}
	switch err := i.openAll(ctx, inv); {
	case errors.Is(err, ErrNoKey):
		i.cannotIssue(err)
	case err != nil:
		return err
	}
	i.completed = now
	return nil
}
