package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// clusterReplicas outlive the loss of one server.
	clusterReplicas = 3
	// settleTimeout is how long whoever begins waits for a cluster: three servers
	// that start together have a leader within some six seconds, a lost one is
	// replaced within nine, and one that reads a large log back takes longer.
	settleTimeout = 30 * time.Second
	// settleTold is how often the wait is told of.
	settleTold = 5 * time.Second

	errCodeNoPeers      jetstream.ErrorCode = 10005
	errCodeNotAvailable jetstream.ErrorCode = 10008
	errCodeNoResources  jetstream.ErrorCode = 10023
	errCodeNoReplicas   jetstream.ErrorCode = 10074
)

// clustered says whether the server is, or was when there last was one, one of
// several.
func (b *Bus) clustered() bool {
	if b.nc.ConnectedClusterName() != "" { // empty without a connection, too
		b.inCluster.Store(true)
	}
	return b.inCluster.Load()
}

// replicas of the streams that are made here.
func (b *Bus) replicas() int {
	switch {
	case b.options.Replicas > 0:
		return b.options.Replicas
	case b.clustered():
		return clusterReplicas
	}
	return 1
}

// Leader is the name of the server that leads the stream of the log: the one
// that every append goes to. It is empty where the server stands alone, and
// while a cluster has not elected one.
func (b *Bus) Leader(ctx context.Context) (string, error) {
	s, err := b.js.Stream(ctx, b.logStream())
	if err != nil {
		return "", fmt.Errorf("ask for the leader of the log: %w", plain(err))
	}
	if c := s.CachedInfo().Cluster; c != nil {
		return c.Leader, nil
	}
	return "", nil
}

// ClusterError says that the streams cannot be made or looked up as the servers
// are, and Hint what to do about it.
type ClusterError struct {
	Err  error
	hint string
}

func (e *ClusterError) Error() string { return e.Err.Error() }
func (e *ClusterError) Unwrap() error { return e.Err }

// Hint is one sentence for a person.
func (e *ClusterError) Hint() string { return e.hint }

// whenSettled tries again for as long as the error may come of a cluster whose
// servers are still starting or electing a leader. try must be harmless to repeat,
// and bound its own requests: an answer never comes when who was asked is lost.
func (b *Bus) whenSettled(ctx context.Context, try func(context.Context) error) error {
	began, told := time.Now(), time.Time{}
	for n := 0; ; n++ {
		err := try(ctx)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = unanswered{err}
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !b.settling(err):
			return advise(err)
		case time.Since(began) > settleTimeout:
			return advise(fmt.Errorf("the cluster was not ready within %s: %w", settleTimeout, err))
		case time.Since(told) > settleTold:
			b.tell("waiting for the cluster", err)
			told = time.Now()
		}
		if pauseErr := b.pause(ctx, n); pauseErr != nil {
			return advise(err)
		}
	}
}

// unanswered says in plain words what a deadline says that is none of the caller's.
type unanswered struct{ err error }

func (e unanswered) Error() string { return "the server did not answer: " + e.err.Error() }
func (e unanswered) Unwrap() error { return e.err }

func (b *Bus) settling(err error) bool {
	switch errCode(err) {
	case errCodeNoPeers, errCodeNotAvailable, errCodeNoResources:
		return b.clustered()
	}
	return b.clustered() && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, errUnanswered))
}

// errCode is the server's code of what it refused, or 0.
func errCode(err error) jetstream.ErrorCode {
	var api jetstream.JetStreamError
	if !errors.As(err, &api) || api.APIError() == nil {
		return 0
	}
	return api.APIError().ErrorCode
}

// advise adds what a person can do.
func advise(err error) error {
	switch errCode(err) {
	case errCodeNoReplicas:
		return &ClusterError{err, "the server stands alone: give it a cluster, or leave --replicas out"}
	case errCodeNoPeers, errCodeNoResources:
		return &ClusterError{err, "start as many servers with JetStream as there are to be replicas, three without --replicas"}
	case errCodeNotAvailable:
		return &ClusterError{err, "no leader: start the servers that are missing, more than half must run and reach one another"}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return &ClusterError{err, "the server does not answer: see that it has JetStream, and that more than half of its cluster runs"}
	}
	return err
}

// warnOfWeak tells which streams would not outlive the loss of a server of a
// cluster, although they could.
func (b *Bus) warnOfWeak(replicas map[string]int) {
	if !b.clustered() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(replicas)) {
		if n := replicas[name]; n < clusterReplicas {
			b.tell("stream does not outlive the loss of a server", fmt.Errorf(
				"%s has replicas: %d; \"nats stream edit %s --replicas %d\" gives it more", name, n, name, clusterReplicas))
		}
	}
}
