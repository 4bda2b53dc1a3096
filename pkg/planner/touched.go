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
	nodes []fleet.NodeID
}

// begin takes all nodes for changed that the fold begins with.
func (t *touched) begin(o *fleet.ObservedState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range o.Nodes {
		t.nodes = append(t.nodes, n.ID)
	}
}

func (t *touched) add(c projection.Change) {
	if len(c.Nodes) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nodes = append(t.nodes, c.Nodes...)
}

func (t *touched) take() []fleet.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes := t.nodes
	t.nodes = nil
	return nodes
}
