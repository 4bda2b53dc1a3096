package fleetday

import (
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// site is where the server runs, while it does. It keeps the folder over all
// lives of the server.
type site struct {
	dir string
	log zerolog.Logger

	mu     sync.Mutex
	server *natsd.Server
	conns  []net.Conn // of this life
}

func (s *site) start(t *testing.T) {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: s.dir, Logger: s.log})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
}

// stop lets nobody hear of the end: whatever was asked for and not answered by
// then stays open, whether it was done or not. The server, which sleeps in its
// shutdown with a lock in its hand, is left in peace first: who waits for a lock
// keeps the clock of a bubble from moving.
func (s *site) stop() {
	s.mu.Lock()
	server, conns := s.server, s.conns
	s.server, s.conns = nil, nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	for _, c := range conns {
		_ = c.Close() // it may have ended already
	}
	synctest.Wait()
	server.Shutdown()
}

func (s *site) connect() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil, errors.New("the server is down")
	}
	c, err := s.server.InProcessConn()
	if err == nil {
		s.conns = append(s.conns, c)
	}
	return c, err
}

// link is one process's way to the server.
type link struct {
	site *site

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// InProcessConn makes a link an eventlog.Options.InProcess.
func (l *link) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errOffline
	}
	c, err := l.site.connect()
	if err == nil {
		l.conns = append(l.conns, c)
	}
	return c, err
}

// sever lets nothing through any more, as when the process is gone.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, c := range l.conns {
		_ = c.Close() // it may have ended already
	}
}

// errOffline is why a process whose way to the server is cut cannot connect.
var errOffline = errors.New("no way to the server")
