package planner

import (
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// touched collects, from the goroutine that folds, the nodes whose state
// changed, so that the sensor looks at those and not at the whole fleet.
type touched struct {
	mu    sync.Mutex
	nodes map[fleet.NodeID]struct{}
}

func newTouched() *touched { return &touched{nodes: make(map[fleet.NodeID]struct{})} }

func (t *touched) add(c projection.Change) {
	if len(c.Nodes) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range c.Nodes {
		t.nodes[id] = struct{}{}
	}
}

func (t *touched) take() map[fleet.NodeID]struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.nodes) == 0 {
		return nil
	}
	nodes := t.nodes
	t.nodes = make(map[fleet.NodeID]struct{})
	return nodes
}
