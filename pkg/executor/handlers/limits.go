package handlers

import (
	"fmt"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

const (
	// requestEvery is the shortest time between two requests of one node that are
	// looked at.
	requestEvery = 250 * time.Millisecond
	// requestRate is how many requests of all nodes are looked at in a second,
	// and after a pause at once.
	requestRate = 200
)

// limits keeps what nodes ask for within bounds, and tells replays. What it
// remembers is bounded by the rate.
type limits struct {
	mu     sync.Mutex
	last   map[fleet.NodeID]time.Time
	nonces map[string]time.Time
	budget float64 // requests that may be looked at now
	at     time.Time
	swept  time.Time
}

func newLimits() *limits {
	return &limits{last: make(map[fleet.NodeID]time.Time), nonces: make(map[string]time.Time), budget: requestRate}
}

// admit says whether a request may be looked at. It comes before all that costs
// anything.
func (l *limits) admit(id fleet.NodeID, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	if last, asked := l.last[id]; asked && now.Sub(last) < requestEvery {
		return &fleet.Refusal{Reason: RefusedTooMany, Detail: fmt.Sprintf("the node asked less than %s ago", requestEvery)}
	}
	l.budget = min(requestRate, l.budget+now.Sub(l.at).Seconds()*requestRate)
	l.at = now
	if l.budget < 1 {
		return &fleet.Refusal{Reason: RefusedTooMany, Detail: fmt.Sprintf("more than %d nodes ask in a second", requestRate)}
	}
	l.budget--
	l.last[id] = now
	return nil
}

// fresh bounds how long a request can be replayed, and so how long its nonce is
// remembered.
func fresh(at, now time.Time) error {
	if age := now.Sub(at); age > identity.SkewMargin || age < -identity.SkewMargin {
		return &fleet.Refusal{Reason: RefusedStale, Detail: fmt.Sprintf("the request was made at %s, more than %s from now",
			at.UTC().Format(time.RFC3339), identity.SkewMargin)}
	}
	return nil
}

// once refuses a nonce that was used. The caller has verified the request, so
// that nobody fills the memory in another's name.
func (l *limits) once(id fleet.NodeID, nonce string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := string(id) + " " + nonce // no id has a blank
	if _, used := l.nonces[key]; used {
		return &fleet.Refusal{Reason: RefusedReplayed, Detail: "the nonce of the request was used before"}
	}
	l.nonces[key] = now
	return nil
}

// sweep forgets, now and then, what can no longer matter. A request can be fresh
// for two margins: from when it is that far ahead until it is that far behind.
func (l *limits) sweep(now time.Time) {
	if now.Sub(l.swept) < identity.SkewMargin {
		return
	}
	l.swept = now
	for key, at := range l.nonces {
		if now.Sub(at) > 3*identity.SkewMargin {
			delete(l.nonces, key)
		}
	}
	for id, at := range l.last {
		if now.Sub(at) > requestEvery {
			delete(l.last, id)
		}
	}
}
