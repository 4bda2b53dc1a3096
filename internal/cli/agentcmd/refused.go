package agentcmd

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// fileReportTime bounds how long an agent that ends over a file of its folder tries
// to tell the fleet.
const fileReportTime = 3 * time.Second

// open opens the agent's folder. Over a file that is not taken the fleet is told.
func (o *options) open(ctx context.Context, cfg agent.Config, opts eventlog.Options, log zerolog.Logger) (*agent.Agent, error) {
	a, err := agent.Open(cfg, log)
	if refusal := identity.FileRefusal(err); refusal != nil {
		o.reportFile(ctx, cfg.Node, opts, refusal, log)
	}
	return a, err
}

// reportFile tells executors which file of the folder the agent did not take, before
// it ends. The fleet may be away, and then only the agent's own log has it.
func (o *options) reportFile(ctx context.Context, id fleet.NodeID, opts eventlog.Options, refusal *fleet.Refusal, log zerolog.Logger) {
	log.Error().Str(field.Reason, string(refusal.Reason)).Str(field.Why, refusal.Detail).Msg("a file of the folder is not taken")
	ctx, cancel := context.WithTimeout(ctx, fileReportTime)
	defer cancel()
	bus, err := o.connect(ctx, opts)
	if err == nil {
		defer bus.Close()
		by := agent.Speaker{Node: id, Session: strconv.FormatInt(time.Now().UnixNano(), 36), Count: new(atomic.Uint64), Now: time.Now}
		err = agent.Report(ctx, bus, by, []events.Refused{{
			Channel: events.RefusedFile, Reason: refusal.Reason, Detail: events.RefusalDetail(refusal.Detail), Count: 1,
		}})
	}
	if err != nil {
		log.Warn().Err(err).Msg("the fleet was not told of the file")
	}
}

// mostOfSource is how much of a source is told, so that room is left for what is
// wrong with the post.
const mostOfSource = 96

// refusedPost has the fleet told of a post that the node's receiver refused.
func refusedPost(a *agent.Agent) func(source string, refusal *receiver.Refusal) {
	return func(source string, refusal *receiver.Refusal) {
		detail := refusal.Detail
		if len(source) > mostOfSource {
			source = source[:mostOfSource] + "..."
		}
		if source != "" {
			detail = "from " + strconv.Quote(source) + ": " + detail
		}
		a.Refused(events.RefusedPost, refusal.Reason, detail)
	}
}
