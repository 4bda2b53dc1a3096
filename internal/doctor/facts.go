package doctor

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// Facts are what was asked. A group whose Err is set knows nothing else.
type Facts struct {
	// Now by the server's clock, as far as it is known, else by ours.
	Now time.Time
	// Overdue is how long an action may be in flight before it is odd.
	Overdue    time.Duration
	Connection Connection
	// Streams in the order of eventlog.CheckStreams; none without a connection.
	Streams []eventlog.StreamHealth
	Servers eventlog.Servers
	Clock   Clock
	Limits  Limits
	Actions Actions
	Fold    Fold
	Leases  Leases
	// Snapshots that are stored, newest first, each held against the log.
	Snapshots Snapshots
}

// Connection to a server.
type Connection struct {
	URL, Version string
	RTT          time.Duration
	Err          error
	// Hint says what to do about Err; may be empty.
	Hint string
}

// Clock of the server beside ours.
type Clock struct {
	// Skew is how far the server's is ahead; the truth lies no further away than Within.
	Skew, Within time.Duration
	Err          error
}

// Limits of the account. Those of the servers are in Servers.
type Limits struct {
	Account []eventlog.Limit
	Err     error
}

// Actions is the consumer that hands them out.
type Actions struct {
	eventlog.ActionsHealth
	Err error
}

// Fold of the whole log, made just now.
type Fold struct {
	// Sequence folded; Last on the log, asked afterwards.
	Sequence, Last uint64
	Took           time.Duration
	// Unfit counts the messages that are no event; Newest are the last of them,
	// newest first.
	Unfit  int
	Newest []Unfit
	// Plan that was decided last; nil for none.
	Plan    *Plan
	Flights []projection.Flight
	// Present are the nodes that the log calls so.
	Present []fleet.NodeID
	Err     error
}

// Unfit is a message of the log that is no event.
type Unfit struct {
	Sequence uint64
	Subject  string
	Err      error
}

// Plan that was decided last.
type Plan struct {
	ID       fleet.PlanID
	Sequence uint64
	Time     time.Time
	Actions  int
}

// Snapshots of the fold.
type Snapshots struct {
	Verdicts []snapshot.Verdict
	Err      error
}

// Leases are what the presence stream holds.
type Leases struct {
	// Running leases by node, and how long each runs.
	Running map[fleet.NodeID]time.Duration
	// Ended says when a lease did that is still remembered.
	Ended map[fleet.NodeID]time.Time
	// Since is when the stream was made: it remembers nothing from before.
	Since time.Time
	Err   error
}

// stream of that role; false when nothing was asked.
func (f *Facts) stream(role eventlog.Role) (eventlog.StreamHealth, bool) {
	for _, s := range f.Streams {
		if s.Role == role {
			return s, true
		}
	}
	return eventlog.StreamHealth{}, false
}

// logName is what the nats command calls the log.
func logName(f *Facts) string {
	s, _ := f.stream(eventlog.RoleLog)
	return s.Name
}
