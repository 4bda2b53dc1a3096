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
	// Config is a file that says who may do what; empty for a server that asks
	// nobody. Where the server keeps its streams and where it listens is said
	// here all the same, and it has no monitoring.
	Config string
	// Logger hears the server's warnings and, at debug level, its notices.
	Logger zerolog.Logger
}

// Server is a running NATS server.
type Server struct {
	ns      *server.Server
	options Options
}

// Start starts a server and waits until it answers.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("start nats server: no directory given")
	}
	settings, err := o.settings()
	if err != nil {
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	ns, err := server.NewServer(settings)
	if err != nil {
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	failed := make(chan string, 1)
	ns.SetLoggerV2(&logger{log: o.Logger, fatal: failed}, false, false, false)
	ns.Start()
	s := &Server{ns: ns, options: o}
	if err := s.awaitReady(failed); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start nats server in %s: %w", o.Dir, err)
	}
	return s, nil
}

func (o Options) settings() (*server.Options, error) {
	s := &server.Options{MaxPayload: maxPayload}
	if o.Config != "" {
		var err error
		if s, err = server.ProcessConfigFile(o.Config); err != nil {
			return nil, err
		}
		s.HTTPHost, s.HTTPPort = "", 0
	}
	s.Host, s.Port, s.DontListen = loopback, o.Port, o.Port == 0
	s.JetStream, s.StoreDir, s.SyncAlways, s.NoSigs = true, o.Dir, true, true
	return s, nil
}

// Reload reads Config again, so that it counts for whoever connects from now
// on. Who is connected and may no longer be is cut off.
func (s *Server) Reload() error {
	settings, err := s.options.settings()
	if err == nil {
		err = s.ns.ReloadOptions(settings)
	}
	if err != nil {
		return fmt.Errorf("reload nats server: %w", err)
	}
	return nil
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

// InProcessConn is a new connection without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// Shutdown stops the server and waits until it has. It may be called twice.
func (s *Server) Shutdown() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}
