package agentcmd

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// postings is what an agent does besides: it takes posts, and posts itself. Both
// may be none.
type postings struct {
	hosted hosted
	poster *poster
}

func (o *options) openPosts(a *agent.Agent, dir string, log zerolog.Logger) (p postings, err error) {
	if p.hosted, err = o.receive.open(a, dir, log); err != nil {
		return postings{}, err
	}
	if len(o.posts.urls) > 0 {
		p.poster = newPoster(o.posts, a, log)
	}
	return p, nil
}

func (p postings) collectors(own prometheus.Collector) prometheus.Collector {
	all := obs.Collectors{own}
	if p.hosted.Receiver != nil {
		all = append(all, p.hosted)
	}
	if p.poster != nil {
		all = append(all, p.poster)
	}
	return all
}

// serve does both until ctx ends.
func (p postings) serve(ctx context.Context, g *errgroup.Group, log zerolog.Logger) {
	if p.hosted.Receiver != nil {
		g.Go(func() error { return p.hosted.serve(ctx, log) })
	}
	if p.poster != nil {
		g.Go(func() error { p.poster.run(ctx); return nil })
	}
}

// follow keeps the receiver's posture and roots up to date until stop is called.
func (p postings) follow(ctx context.Context, bus agent.Bus, log zerolog.Logger) (stop func()) {
	from, ok := bus.(receiver.Bus)
	if p.hosted.Receiver == nil || !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { p.hosted.stream.Run(ctx, from) })
	return func() { cancel(); following.Wait() }
}
