package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/bubble"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// wire is a way to a server that can be made deaf, so that no answer comes any
// more, cut, and mended.
type wire struct {
	server *natsd.Server
	mu     sync.Mutex
	deaf   bool
	cut    chan struct{}
	conns  []net.Conn
}

func (w *wire) InProcessConn() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.cut:
		return nil, errors.New("the wire is cut")
	default:
	}
	c, err := w.server.InProcessConn()
	w.conns = append(w.conns, c)
	return &wired{c, w, w.cut}, err
}

func (w *wire) deafen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = true
}

func (w *wire) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.cut)
	for _, c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf, w.cut, w.conns = false, make(chan struct{}), nil
}

type wired struct {
	net.Conn
	wire *wire
	cut  <-chan struct{}
}

func (c *wired) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wire.mu.Lock()
	deaf := c.wire.deaf
	c.wire.mu.Unlock()
	if deaf && err == nil {
		<-c.cut
		return 0, net.ErrClosed
	}
	return n, err
}

// onWire runs test on a connection that can be cut.
func onWire(t *testing.T, test func(t *testing.T, b *Bus, w *wire)) {
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		w := &wire{server: startServer(t, dir, 0), cut: make(chan struct{})}
		defer w.server.Shutdown()
		b, err := Connect(t.Context(), Options{InProcess: w, Name: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, b, w)
	})
}

// However much time its caller has, a request ends when its answer cannot come
// any more.
func TestARequestEndsWithItsConnection(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, l Log) error{
		"one entry": func(ctx context.Context, l Log) error { _, err := l.Append(ctx, appeared(1)); return err },
		"a batch":   func(ctx context.Context, l Log) error { _, err := l.Append(ctx, appeared(1), appeared(2)); return err },
		"the end":   func(ctx context.Context, l Log) error { _, err := l.Last(ctx); return err },
		"a subject": func(ctx context.Context, l Log) error { _, err := l.LastOn(ctx, l.Subjects().Outcome("a")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, b *Bus, w *wire) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				w.deafen()
				began, ended := time.Now(), make(chan error, 1)
				go func() { ended <- ask(ctx, b.Log()) }()
				time.Sleep(time.Second) // fake time
				w.sever()
				err := <-ended
				if took := time.Since(began); took != time.Second {
					t.Errorf("it took %s", took)
				}
				if !errors.Is(err, errUnanswered) || errors.Is(err, context.Canceled) {
					t.Errorf("error is %v", err)
				}
			})
		})
	}
}

// Who cannot hear must not be taken for one who hears that nobody is there.
func TestAReaderOfLeasesIsBlindFromTheLossOfItsConnection(t *testing.T) {
	onWire(t, func(t *testing.T, b *Bus, w *wire) {
		s := watch(t, b)
		defer s.s.Close()
		s.wait()
		if !s.caughtUp {
			t.Fatal("not caught up with no leases at all")
		}
		time.Sleep(time.Minute) // fake time
		w.sever()
		cut := time.Now()
		s.wait()
		if s.caughtUp || time.Since(cut) != 0 {
			t.Errorf("caught up is %v, %s after the loss", s.caughtUp, time.Since(cut))
		}
	})
}

// A cluster of which one server is lost answers elsewhere: whoever only reads
// asks there, and hears of no failure.
func TestTheEndOfTheLogOfAClusterIsAskedForAgain(t *testing.T) {
	onWire(t, func(t *testing.T, b *Bus, w *wire) {
		b.inCluster.Store(true)
		mustAppend(t, b.Log(), appeared(1))
		w.deafen()
		ended := make(chan error, 1)
		go func() {
			last, err := b.Log().Last(t.Context())
			if err == nil && last != 1 {
				err = fmt.Errorf("it ends at %d", last)
			}
			ended <- err
		}()
		time.Sleep(time.Second) // fake time
		w.sever()
		time.Sleep(time.Second) // fake time
		w.mend()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
