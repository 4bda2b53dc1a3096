// Package leak fails a test binary whose goroutines outlive its tests. It knows
// which of an embedded server's goroutines do so by design, in one place for
// all packages whose tests run one.
package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// Options for goleak: what may outlive a test that has shut its server down.
func Options() []goleak.Option {
	return []goleak.Option{
		// The server leaves it waiting for an answer of a stream when it stops
		// while a source is being set up; it ends by its own time limit.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"),
	}
}

// Main is the body of a TestMain: it runs the tests and exits.
func Main(m *testing.M) { goleak.VerifyTestMain(m, Options()...) }

// Find returns an error that lists the goroutines that are still there, once
// they had a moment to end.
func Find() error { return goleak.Find(Options()...) }
