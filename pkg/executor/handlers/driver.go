package handlers

import (
	"context"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Driver brings agents up and away. Its methods may be called side by side,
// never for one node at once.
type Driver interface {
	// Start sees to it that an agent of the node is on its way; when one runs
	// already, it does nothing. If the driver can know, gone receives why the
	// agent ended and is closed; otherwise gone is nil.
	Start(ctx context.Context, id fleet.NodeID) (gone <-chan error, err error)
	// Remove ends what Start began, if anything is left of it, and forgets the
	// node's key and credential.
	Remove(ctx context.Context, id fleet.NodeID) error
}

// Wait is the Driver for agents that somebody else brings up: it only waits.
type Wait struct{}

// Start does nothing.
func (Wait) Start(context.Context, fleet.NodeID) (<-chan error, error) { return nil, nil }

// Remove does nothing.
func (Wait) Remove(context.Context, fleet.NodeID) error { return nil }
