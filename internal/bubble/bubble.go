// Package bubble lets tests run a real server in the fake time of testing/synctest.
package bubble

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats-server/v2/server/ats"
)

// Test runs test in a bubble, in which servers may be started without a socket
// (natsd.Options.Port 0). What test starts it must end; folders are to be made
// outside, where nobody removes them too early.
func Test(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	// The server shares one ticker among all servers of a process: outside of the
	// bubble, or the bubble would never come to rest.
	ats.Register()
	defer ats.Unregister()
	// The client keeps used timers in a sync.Pool, and one of an earlier bubble must
	// not be met in this one. Two collections empty the pool.
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}
