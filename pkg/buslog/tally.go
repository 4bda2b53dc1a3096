package buslog

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// maxKinds is how many kinds a Tally tells apart; the others are counted together.
const maxKinds = 256

// Refused is how often something was refused since it was told of last.
type Refused struct {
	Node   fleet.NodeID // empty where it is no node, or not known
	Reason fleet.Reason
	Detail string // of the newest, with the user where that is no node
	Count  uint64
}

type kind struct {
	node   fleet.NodeID
	reason fleet.Reason
}

// Tally sums up refusals until somebody asks. Add never waits. The zero value is
// ready for use, by any number of goroutines that add and one that asks.
type Tally struct {
	mu    sync.Mutex
	kinds map[kind]*Refused
	news  chan struct{}
}

// Add counts a refusal.
func (t *Tally) Add(r Refusal) {
	k := kind{r.Node(), r.Reason}
	detail := r.Detail
	if k.node == "" && r.User != "" {
		detail = r.User + " " + detail
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds == nil {
		t.kinds = make(map[kind]*Refused)
	}
	if t.kinds[k] == nil && len(t.kinds) >= maxKinds {
		k = kind{reason: r.Reason} // of somebody; there are few reasons
	}
	if t.kinds[k] == nil {
		t.kinds[k] = &Refused{Node: k.node, Reason: k.reason}
	}
	t.kinds[k].Count++
	t.kinds[k].Detail = detail
	select {
	case t.signal() <- struct{}{}:
	default:
	}
}

// signal is the channel that says that there is news. mu is held.
func (t *Tally) signal() chan struct{} {
	if t.news == nil {
		t.news = make(chan struct{}, 1)
	}
	return t.news
}

// Next waits until something was refused, and returns all that was since the last
// call, in order of node and reason.
func (t *Tally) Next(ctx context.Context) ([]Refused, error) {
	for {
		t.mu.Lock()
		news := t.signal()
		all := make([]Refused, 0, len(t.kinds))
		for _, r := range t.kinds {
			all = append(all, *r)
		}
		clear(t.kinds)
		t.mu.Unlock()
		if len(all) > 0 {
			slices.SortFunc(all, func(a, b Refused) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Reason, b.Reason)) })
			return all, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
