// Package profile lets a process tell on demand what it spends its time and memory
// on: --pprof. What a profile shows may include what a process keeps in memory, and
// taking one costs time, so that it listens on loopback and nowhere else; whoever is
// elsewhere goes through ssh.
package profile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	runtime "runtime/pprof"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
)

// Flags say where profiles can be had.
type Flags struct{ Address string }

// AddTo defines --pprof.
func (f *Flags) AddTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.Address, "pprof", "", "`ADDRESS` on loopback for profiles, such as 127.0.0.1:6060 (go tool pprof http://127.0.0.1:6060/debug/pprof/profile); empty means none")
}

// Check refuses an address that others could reach. The error is a usage error.
func (f *Flags) Check() error {
	if f.Address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(f.Address)
	if err != nil {
		return cli.Usagef("--pprof %q is no HOST:PORT", f.Address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return cli.WithHint(cli.Usagef("--pprof %q is not on loopback: profiles show what a process has in memory", f.Address),
			"listen on 127.0.0.1:6060, and come from elsewhere by 'ssh -L 6060:127.0.0.1:6060'")
	}
	return nil
}

// Serve serves profiles until ctx ends; without an address it returns at once.
func (f *Flags) Serve(ctx context.Context, logger zerolog.Logger) error {
	if f.Address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", f.Address)
	if err != nil {
		return fmt.Errorf("listen for profiles: %w", err)
	}
	server := &http.Server{Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	// A profile under way takes as long as it was asked to: it is cut off.
	defer context.AfterFunc(ctx, func() { server.Close() })()
	logger.Info().Str(field.Address, listener.Addr().String()).Msg("serving profiles")
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve profiles: %w", err)
	}
	return nil
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// CPU writes a processor profile of what follows to a file, until stop is called.
func CPU(path string) (stop func() error, err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	if err := runtime.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("write profile: %w", err), file.Close())
	}
	return func() error {
		runtime.StopCPUProfile()
		if err := file.Close(); err != nil {
			return fmt.Errorf("write profile: %w", err)
		}
		return nil
	}, nil
}
