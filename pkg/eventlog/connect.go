package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Bounds of what the bus waits for.
const (
	// firstReconnect and longestReconnect bound the wait between two tries. The
	// longest is short beside a lease: nobody may be called lost because the
	// server was away.
	firstReconnect   = 100 * time.Millisecond
	longestReconnect = 2 * time.Second
	// pingInterval and maxPings find a connection that is dead and does not say so.
	pingInterval = 10 * time.Second
	maxPings     = 2
)

// NotAllowed is the event of Options.Logger for what the server refused this
// identity; whoever waits for an answer to it waits in vain.
const NotAllowed = "the server does not allow it"

// ErrNotAllowed means that the server does not let this identity do it; nothing has
// come of it.
var ErrNotAllowed = errors.New("the server does not allow it")

// Options say which server to connect to, as whom, and for which fleet.
type Options struct {
	// URL of the server, or several with commas between. Empty means the
	// context's, and without a context nats://127.0.0.1:4222.
	URL string
	// Context of the nats command to take server and credentials from.
	Context string
	// Creds is a file of NATS credentials; it overrides the context's.
	Creds string
	// TLS are the files of a client certificate and of the CA of the server.
	TLS TLSFiles
	// NoConsumers follows the log by asking for what is new, and makes nothing at
	// the server. Whoever may make a consumer may have it deliver what is stored
	// to any subject, so that not everybody may.
	NoConsumers bool
	// Prefix of every subject; empty means events.DefaultPrefix.
	Prefix string
	// Name of the client, as the server lists it.
	Name string
	// Replicas of the streams that EnsureStreams makes. Zero makes them with
	// three in a cluster and with one elsewhere, and accepts an existing stream
	// with any number.
	Replicas int
	// InProcess connects to an embedded server without a socket, and overrides
	// URL and Context.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// CustomInboxPrefix of answers; empty means the context's, or the client's
	// default.
	CustomInboxPrefix string
	// Logger hears of what happens to the connection, from any goroutine; nil
	// means nobody does. err may be nil.
	Logger func(event string, err error)
}

// Bus is the connection of one process to one fleet. It is safe for use by
// several goroutines.
type Bus struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	subjects events.Subjects
	options  Options

	inCluster atomic.Bool
	denials   denials

	closed      chan struct{} // closed when the connection is given up for good
	mu          sync.Mutex
	reconnected chan struct{}   // closed at the next reconnect
	connection  context.Context // ends when the connection is lost
	cut         context.CancelFunc
}

// SelectedContext is the context that the nats command would use when none is
// named; empty when none is selected.
func SelectedContext() string { return natscontext.SelectedContext() }

// Connect connects, once: it fails when the server cannot be reached now. From
// then on the connection is renewed for ever.
//
// While there is no connection nothing is queued: a heartbeat that is an hour
// old says nothing, and an append that failed stays failed.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Prefix == "" {
		o.Prefix = events.DefaultPrefix
	}
	subjects, err := events.NewSubjects(o.Prefix)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	t, err := o.target()
	if err != nil {
		return nil, err
	}
	b := &Bus{subjects: subjects, options: o, closed: make(chan struct{}), reconnected: make(chan struct{})}
	b.connection, b.cut = context.WithCancel(context.Background())
	b.nc, err = nats.Connect(t.url, append(t.options, b.connOptions(ctx)...)...)
	if err != nil {
		return nil, connectError(t.url, err)
	}
	b.clustered() // as long as it can be asked
	b.js, err = t.jetStream(b.nc)
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("use jetstream at %s: %w", redact(t.url), err)
	}
	return b, nil
}

func (b *Bus) connOptions(ctx context.Context) []nats.Option {
	timeout := requestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	return []nats.Option{
		nats.Name(b.options.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		// Credentials may be renewed on disk while the server refuses the old ones.
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.onDisconnect(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { b.onReconnect() }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			switch {
			case !errors.Is(err, nats.ErrPermissionViolation):
				b.tell("connection error", err)
			case !b.denials.deny(err): // or else it is in an error
				b.tell(NotAllowed, err)
			}
		}),
	}
}

// reconnectDelay grows from try to try. Half of it is chance, so that a fleet
// does not come back in step.
func reconnectDelay(tries int) time.Duration {
	d := longestReconnect
	if tries < 6 { // firstReconnect << 5 is above the longest
		d = firstReconnect << max(tries-1, 0)
	}
	return d/2 + rand.N(d/2)
}

func (b *Bus) tell(event string, err error) {
	if b.options.Logger != nil {
		b.options.Logger(event, err)
	}
}

// complain tells of a failure, unless it only repeats that the connection is
// lost: that has been told when it was.
func (b *Bus) complain(event string, err error) {
	if b.nc.IsConnected() && !errors.Is(err, nats.ErrReconnectBufExceeded) {
		b.tell(event, err)
	}
}

func (b *Bus) onDisconnect(err error) {
	b.mu.Lock()
	b.cut()
	b.mu.Unlock()
	b.tell("connection lost", err)
}

func (b *Bus) onReconnect() {
	b.mu.Lock()
	b.connection, b.cut = context.WithCancel(context.Background())
	close(b.reconnected)
	b.reconnected = make(chan struct{})
	b.mu.Unlock()
	b.tell("connection restored", nil)
}

// nextReconnect is closed when the connection is next restored. What was sent
// to the old connection and not read from it is lost.
func (b *Bus) nextReconnect() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reconnected
}

// present ends when the connection is lost, or has ended when it is lost now.
func (b *Bus) present() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.connection
}

// Connected says whether there is a connection right now.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// URL of the server the bus is or was last connected to, without secrets;
// empty for an embedded one.
func (b *Bus) URL() string {
	if b.options.InProcess != nil {
		return ""
	}
	return b.nc.ConnectedUrlRedacted()
}

// Subjects of the fleet.
func (b *Bus) Subjects() events.Subjects { return b.subjects }

// Close ends the connection, and with it every cursor and subscription.
func (b *Bus) Close() { b.nc.Close() }
