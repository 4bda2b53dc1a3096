package agentcmd

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// receiveFlags say where the node takes posts.
type receiveFlags struct {
	address    string
	names      []string
	warnWindow time.Duration
}

func (f *receiveFlags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.address, "receive", "", "`ADDRESS` that posts are taken at over HTTP, such as 127.0.0.1:8083; empty means none")
	fs.StringSliceVar(&f.names, "receive-as", nil, "`URL` that senders reach --receive by, may be given more than once; a post that was signed for another is refused. Default is http://ADDRESS, unless that is every address of the machine")
	fs.DurationVar(&f.warnWindow, "warn-window", receiver.DefaultWarnWindow, "`DURATION` that a credential which lapsed after the flip to strict is taken with a warning, 0 or more; 0 means not at all")
}

func (f *receiveFlags) check() error {
	if f.warnWindow < 0 {
		return cli.Usagef("--warn-window is %s, must not be below 0", f.warnWindow)
	}
	if f.address == "" || len(f.names) > 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(f.address)
	if err != nil {
		return cli.Usagef("--receive: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return cli.Usagef("--receive %s is every address of the machine: say with --receive-as by which URL senders reach it", f.address)
	}
	return nil
}

// seenFile in the agent's folder has what was received, so that it is not taken
// again after a restart.
const seenFile = "posts.seen"

// hosted is the node's receiver; the zero value is none.
type hosted struct {
	*receiver.Receiver
	stream   *receiver.Stream
	listener net.Listener
}

// open listens at once, so that an address that is taken is said before anything else.
func (f *receiveFlags) open(a *agent.Agent, dir string, log zerolog.Logger) (hosted, error) {
	if f.address == "" {
		return hosted{}, nil
	}
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		return hosted{}, fmt.Errorf("listen for posts: %w", err)
	}
	names, window := f.names, f.warnWindow
	if len(names) == 0 {
		// Both are this receiver's: the name as it was given, and what it stands for.
		host, _, _ := net.SplitHostPort(f.address) // checked
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		names = []string{"http://" + net.JoinHostPort(host, port), "http://" + listener.Addr().String()}
	}
	if window == 0 {
		window = -1
	}
	h := hosted{stream: receiver.FromStream(anchorOf(a), log), listener: listener}
	h.Receiver, err = receiver.New(receiver.Config{
		Source: h.stream, Audiences: names, WarnWindow: window, MemoryFile: filepath.Join(dir, seenFile), Logger: log,
		Refused: refusedPost(a),
	})
	if err != nil {
		return hosted{}, errors.Join(err, listener.Close())
	}
	log.Info().Str(field.Address, listener.Addr().String()).Msg("taking posts")
	return h, nil
}

// anchorOf is the trust domain and the roots that came with the node's credential.
func anchorOf(a *agent.Agent) func() *receiver.Anchor {
	var mu sync.Mutex
	var of *events.CredentialDelivered
	var made *receiver.Anchor
	return func() *receiver.Anchor {
		c := a.Credential()
		mu.Lock()
		defer mu.Unlock()
		if c != of {
			of, made = c, nil
			if c != nil {
				made = &receiver.Anchor{TrustDomain: c.TrustDomain, Roots: blocks(c.BundlePEM)}
			}
		}
		return made
	}
}

func blocks(bundle string) (all [][]byte) {
	for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, pem.EncodeToMemory(block))
	}
	return all
}

// maxHeaderBytes leaves room for a chain and a proof at their limits.
const maxHeaderBytes = 256 << 10

// serve takes posts until ctx ends, and says then what came.
func (h hosted) serve(ctx context.Context, log zerolog.Logger) error {
	taken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := &http.Server{
		Handler: h.Handler(taken), MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	closed := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	err := server.Serve(h.Listener(h.listener))
	if stopped() { // it ended by itself
		return fmt.Errorf("take posts: %w", err)
	}
	<-closed
	inOrder, doubted, refused := h.Counts()
	log.Info().Uint64("accepted", inOrder).Any("doubted", doubted).Any("refused", refused).Msg("posts received")
	return h.Close()
}
