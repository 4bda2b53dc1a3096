package natsd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/buslog"
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
	// nobody. Where the server keeps its streams, where it listens and what it
	// syncs is said here all the same.
	Config string
	// MonitorPort of the monitoring pages at 127.0.0.1, where the server tells
	// how it is set. RandomPort takes a free one; 0 means that there are none.
	MonitorPort int
	// SyncInterval is how long what was acknowledged may wait for the disk: a
	// power cut takes it back. 0 means that it never waits, and nothing else is
	// fit for a log.
	SyncInterval time.Duration
	// Cluster makes the server one of several; nil means that it stands alone.
	Cluster *Cluster
	// Logger hears the server's warnings and, at debug level, its notices.
	Logger zerolog.Logger
	// Refused hears of each client that was refused something, and must not wait:
	// whoever is refused chooses how often. Logger has that at debug level then. Nil:
	// Logger hears of it as of all errors.
	Refused func(buslog.Refusal) `json:"-"`
}

// Cluster is one server's part in a cluster on this machine. Streams with three
// replicas outlive the loss of any one of three servers.
type Cluster struct {
	// Name of the cluster, the same for all its servers.
	Name string
	// Server is the name of this one. Replicas are kept by it, so it must be
	// unique and stay the same over restarts.
	Server string
	// Port for the routes between the servers, at 127.0.0.1.
	Port int
	// Routes are the HOST:PORT of the other servers' routes, at least one; this
	// server's own may be among them.
	Routes []string
}

// Server is a running NATS server.
type Server struct {
	ns      *server.Server
	options Options
}

// Start starts a server and waits until it answers. In a cluster it does not
// wait for the others, without which there are no streams.
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
	ns.SetLoggerV2(&logger{log: o.Logger, fatal: failed, refused: o.Refused}, false, false, false)
	ns.Start()
	s := &Server{ns: ns, options: o}
	if err := s.awaitReady(failed); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start nats server in %s: %w", o.Dir, err)
	}
	return s, nil
}

func (o Options) settings() (*server.Options, error) {
	// Its own name would be a key, new at each start, and none to tell a person.
	s := &server.Options{ServerName: "embedded", MaxPayload: maxPayload}
	if o.Config != "" {
		var err error
		if s, err = server.ProcessConfigFile(o.Config); err != nil {
			return nil, err
		}
	}
	s.Host, s.Port, s.DontListen = loopback, o.Port, o.Port == 0
	s.HTTPHost, s.HTTPPort = loopback, o.MonitorPort
	s.JetStream, s.StoreDir, s.NoSigs = true, o.Dir, true
	s.SyncAlways, s.SyncInterval = o.SyncInterval == 0, o.SyncInterval
	if o.Cluster != nil {
		return s, o.Cluster.join(s)
	}
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

func (c *Cluster) join(settings *server.Options) error {
	switch {
	case c.Name == "" || c.Server == "":
		return errors.New("a cluster and each of its servers need a name")
	case c.Port <= 0 || len(c.Routes) == 0:
		return errors.New("a server of a cluster needs a port for routes, and the routes of the others")
	}
	settings.ServerName = c.Server
	settings.Cluster = server.ClusterOpts{Name: c.Name, Host: loopback, Port: c.Port}
	for _, r := range c.Routes {
		settings.Routes = append(settings.Routes, &url.URL{Scheme: "nats-route", Host: r})
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
