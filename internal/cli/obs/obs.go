// Package obs is the HTTP server through which a service is observed:
// /healthz, /readyz and /metrics.
package obs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
)

// Checks say how the service is. A nil check always holds.
type Checks struct {
	// Healthy: the process works at all; an error asks to restart it.
	Healthy func() error
	// Ready: it does its work now; an error says what it waits for.
	Ready func() error
}

// Collectors are several collectors as one.
type Collectors []prometheus.Collector

// Describe implements prometheus.Collector.
func (c Collectors) Describe(ch chan<- *prometheus.Desc) {
	for _, one := range c {
		one.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c Collectors) Collect(ch chan<- prometheus.Metric) {
	for _, one := range c {
		one.Collect(ch)
	}
}

// Serve listens on address until ctx ends, and then ends what is under way.
func Serve(ctx context.Context, address string, checks Checks, metrics prometheus.Collector, logger zerolog.Logger) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for health and metrics: %w", err)
	}
	server := &http.Server{Handler: Handler(checks, metrics), ReadHeaderTimeout: 5 * time.Second}
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	defer stopped()
	logger.Info().Str(field.Address, listener.Addr().String()).Msg("serving health and metrics")
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health and metrics: %w", err)
	}
	return nil
}

// Handler answers the three paths.
func Handler(checks Checks, metrics prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if metrics != nil {
		registry.MustRegister(metrics)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", answer(checks.Healthy))
	mux.HandleFunc("GET /readyz", answer(checks.Ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func answer(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if check != nil {
			if err := check(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	}
}
