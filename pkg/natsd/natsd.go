package natsd

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// RandomPort lets the system choose a free port.
const RandomPort = server.RANDOM_PORT

const (
	loopback = "127.0.0.1"
	// readyTimeout covers reading a large log back from a slow disk.
	readyTimeout = time.Minute
	readyStep    = 100 * time.Millisecond
	// maxPayload leaves room for headers around the largest body of an event.
	maxPayload = 2 << 20
)

// Options of the embedded server.
type Options struct {
	// Dir holds the streams. Required; one server at a time.
	Dir string
	// Port to listen on at 127.0.0.1. RandomPort takes a free one; 0 means no
	// listener at all: only InProcessConn connects.
	Port int
	// MonitorPort of the monitoring pages at 127.0.0.1, where the server tells
	// how it is set. RandomPort takes a free one; 0 means that there are none.
	MonitorPort int
	// SyncInterval is how long what was acknowledged may wait for the disk: a
	// power cut takes it back. 0 means that it never waits, and nothing else is
	// fit for a log.
	SyncInterval time.Duration
	// Logger hears the server's warnings and, at debug level, its notices.
	Logger zerolog.Logger
}

// Server is a running NATS server.
type Server struct {
	ns *server.Server
}

// Start starts a server and waits until it answers.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("start nats server: no directory given")
	}
	ns, err := server.NewServer(&server.Options{
		Host: loopback, Port: o.Port, DontListen: o.Port == 0,
		// Its own would be a key, new at each start, and no name to tell a person.
		ServerName: "embedded", HTTPHost: loopback, HTTPPort: o.MonitorPort,
		JetStream: true, StoreDir: o.Dir, SyncAlways: o.SyncInterval == 0, SyncInterval: o.SyncInterval,
		NoSigs: true, MaxPayload: maxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	failed := make(chan string, 1)
	ns.SetLoggerV2(&logger{log: o.Logger, fatal: failed}, false, false, false)
	ns.Start()
	s := &Server{ns: ns}
	if err := s.awaitReady(failed); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start nats server in %s: %w", o.Dir, err)
	}
	return s, nil
}

// awaitReady asks again and again, since the server would not stop waiting for
// itself when it has given up.
func (s *Server) awaitReady(failed <-chan string) error {
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); {
		ready := s.ns.ReadyForConnections(readyStep)
		select {
		case text := <-failed:
			return errors.New(text)
		default:
		}
		if ready {
			if !s.ns.JetStreamEnabled() {
				return errors.New("jetstream did not come up")
			}
			return nil
		}
	}
	return fmt.Errorf("not ready after %s", readyTimeout)
}

// URL that clients connect to; empty without a listener.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// MonitorURL of the monitoring pages; empty when there are none.
func (s *Server) MonitorURL() string {
	if a := s.ns.MonitorAddr(); a != nil {
		return "http://" + a.String()
	}
	return ""
}

// SyncAlways says that what the server acknowledges is on disk.
func (s *Server) SyncAlways() bool {
	c := s.ns.JetStreamConfig()
	return c != nil && c.SyncAlways
}

// InProcessConn is a new connection without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// Shutdown stops the server and waits until it has. It may be called twice.
func (s *Server) Shutdown() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}
