package obs

import (
	"errors"
	"sync/atomic"
)

// Gate is a check that fails until it is opened with another one. It may be used
// by several goroutines.
type Gate struct {
	check atomic.Pointer[func() error] // nil while it is closed
	why   error
}

// NewGate returns a Gate that is closed, and says why.
func NewGate(why string) *Gate { return &Gate{why: errors.New(why)} }

// Open puts check in its place.
func (g *Gate) Open(check func() error) { g.check.Store(&check) }

// Opened says whether it was opened.
func (g *Gate) Opened() bool { return g.check.Load() != nil }

// Check is the check as it is now.
func (g *Gate) Check() error {
	if check := g.check.Load(); check != nil {
		return (*check)()
	}
	return g.why
}
