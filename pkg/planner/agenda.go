package planner

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// agenda is a queue in which each node stands at most once. The order of the
// facts on the log follows from it, so it is the order in which news came.
type agenda struct {
	queue  []fleet.NodeID
	listed map[fleet.NodeID]struct{}
}

func (a *agenda) add(id fleet.NodeID) {
	if _, there := a.listed[id]; there {
		return
	}
	if a.listed == nil {
		a.listed = make(map[fleet.NodeID]struct{})
	}
	a.listed[id] = struct{}{}
	a.queue = append(a.queue, id)
}

func (a *agenda) empty() bool { return len(a.queue) == 0 }

func (a *agenda) take() (fleet.NodeID, bool) {
	if len(a.queue) == 0 {
		return "", false
	}
	id := a.queue[0]
	a.queue = a.queue[1:]
	if len(a.queue) == 0 {
		a.queue = nil // let go of what a burst needed
	}
	delete(a.listed, id)
	return id, true
}

// alarm is a moment at which a node has to be looked at again.
type alarm struct {
	at time.Time
	id fleet.NodeID
}

// alarms is a heap, the earliest first. One that no longer matters only causes
// one look at its node.
type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}
