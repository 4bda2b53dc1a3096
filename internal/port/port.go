package port

import (
	"strconv"
	"testing"
)

// Hold returns a port of 127.0.0.1 that is the test's until it ends.
func Hold(t testing.TB) int {
	t.Helper()
	n, release, err := hold()
	if err != nil {
		t.Fatalf("hold a port: %v", err)
	}
	t.Cleanup(release)
	return n
}

// At is the HOST:PORT of a port from Hold.
func At(n int) string { return "127.0.0.1:" + strconv.Itoa(n) }
