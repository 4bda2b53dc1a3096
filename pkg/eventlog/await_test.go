package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestAServerThatIsAwayIsAwaited(t *testing.T) {
	on, dir := port.Hold(t), t.TempDir()
	var server *natsd.Server
	heard, begun := 0, 0
	b, err := AwaitServer(patience(t), Options{URL: fmt.Sprintf("nats://127.0.0.1:%d", on)}, func(ctx context.Context, b *Bus) error {
		if begun++; begun == 1 { // it goes away again, in the middle of the beginning
			server.Shutdown()
			server = testServer(t, dir, on)
			return offlineError{errUnanswered}
		}
		return b.EnsureStreams(ctx)
	}, func(err error) {
		if heard++; !errors.Is(err, ErrUnreachable) {
			t.Errorf("waits because of %v", err)
		}
		server = testServer(t, dir, on)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if heard != 1 || begun != 2 {
		t.Errorf("told %d times, begun %d times", heard, begun)
	}
	mustAppend(t, b.Log(), appeared(1))
}

func TestWhatWaitingWouldNotMendEndsIt(t *testing.T) {
	s := testServer(t, t.TempDir(), natsd.RandomPort)
	broken := errors.New("broken")
	never := func(err error) { t.Errorf("waits because of %v", err) }
	fine := func(context.Context, *Bus) error { return nil }
	for does, c := range map[string]struct {
		options Options
		begin   func(context.Context, *Bus) error
		want    error
	}{
		"a file that is not there":         {Options{URL: s.URL(), Creds: filepath.Join(t.TempDir(), "none")}, fine, ErrSettings},
		"a server that does not speak TLS": {Options{URL: "tls" + s.URL()[len("nats"):]}, fine, nats.ErrSecureConnWanted},
		"a beginning that does not work":   {Options{URL: s.URL()}, func(context.Context, *Bus) error { return broken }, broken},
	} {
		if _, err := AwaitServer(patience(t), c.options, c.begin, never); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", does, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := AwaitServer(ctx, Options{URL: fmt.Sprintf("nats://127.0.0.1:%d", port.Hold(t))}, fine, func(error) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop while it waits: %v", err)
	}
}

// A server that is away may come back; one that does not want us, or that we do
// not trust, stays so.
func TestWhatIsUnreachable(t *testing.T) {
	for err, want := range map[error]bool{
		nats.ErrNoServers: true, nats.ErrTimeout: true, io.EOF: true,
		&net.OpError{Op: "dial", Err: errors.New("no route to host")}:      true,
		&net.DNSError{Err: "no such host", Name: "nats", IsNotFound: true}: true,
		nats.ErrAuthorization: false,
		&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}: false,
		errors.New("x509: certificate signed by unknown authority"):               false,
	} {
		if got := errors.Is(connectError("nats://a", err), ErrUnreachable); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
