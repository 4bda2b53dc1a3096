package fleetday

import (
	"errors"
	"net"
	"sync"
	"testing"

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

func (s *site) stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		server.Shutdown()
	}
}

func (s *site) connect() (net.Conn, error) {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server == nil {
		return nil, errors.New("the server is down")
	}
	return server.InProcessConn()
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
