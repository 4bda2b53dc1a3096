package obs

import (
	"errors"
	"sync/atomic"
)

// Gate is a check that fails until it is opened with another one. It may be used
// by several goroutines.
type Gate struct{ check atomic.Pointer[func() error] }

// NewGate returns a Gate that is closed, and says why.
func NewGate(why string) *Gate {
	g := &Gate{}
	g.Open(func() error { return errors.New(why) })
	return g
}

// Open puts check in its place.
func (g *Gate) Open(check func() error) { g.check.Store(&check) }

// Check is the check as it is now.
func (g *Gate) Check() error { return (*g.check.Load())() }
