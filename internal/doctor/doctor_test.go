package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// well is a fleet of one node on a lone server, without a flaw.
func well() Facts {
	lone := func(role eventlog.Role, name string) eventlog.StreamHealth {
		return eventlog.StreamHealth{Role: role, Name: name, Replicas: 1, Leader: "s1", Created: at.Add(-time.Hour)}
	}
	log := lone(eventlog.RoleLog, "FLEET")
	log.First, log.Last, log.Messages = 1, 9, 9
	return Facts{
		Now: at, Overdue: 2 * time.Minute,
		Connection: Connection{URL: "nats://s1:4222", Version: "2.15.2", RTT: time.Millisecond},
		Streams: []eventlog.StreamHealth{
			log, lone(eventlog.RoleIngest, "FLEET_INGEST"), lone(eventlog.RolePresence, "FLEET_PRESENCE"), lone(eventlog.RoleInventories, "FLEET_INVENTORIES"),
		},
		Servers: eventlog.Servers{Asked: 1, Heard: []eventlog.ServerHealth{{Name: "s1", JetStream: true, SyncAlways: true}}},
		Clock:   Clock{Skew: 2 * time.Millisecond, Within: time.Millisecond},
		Actions: Actions{ActionsHealth: eventlog.ActionsHealth{Consumer: "executor", Waiting: 1, Limit: 16}},
		Fold: Fold{
			Sequence: 9, Last: 9, Took: time.Millisecond, Present: []fleet.NodeID{"a"},
			Plan: &Plan{ID: "p", Sequence: 2, Time: at.Add(-time.Minute), Actions: 1},
		},
		Leases: Leases{Running: map[fleet.NodeID]time.Duration{"a": 15 * time.Second}, Since: at.Add(-time.Hour)},
	}
}

// clustered is the same in a cluster of three.
func clustered(f *Facts) {
	for i := range f.Streams {
		f.Streams[i].Cluster, f.Streams[i].Replicas = "c", 3
		f.Streams[i].Followers = []eventlog.Follower{{Name: "s2", Current: true}, {Name: "s3", Current: true}}
	}
	f.Servers = eventlog.Servers{Asked: 3}
	for _, name := range []string{"s1", "s2", "s3"} {
		f.Servers.Heard = append(f.Servers.Heard, eventlog.ServerHealth{Name: name, Cluster: "c", JetStream: true, SyncAlways: true})
	}
}

// notAllowed is the same for a person, who may only read.
func notAllowed(f *Facts) {
	for i, s := range f.Streams {
		f.Streams[i] = eventlog.StreamHealth{Role: s.Role, Name: s.Name, Err: eventlog.ErrNotAllowed}
	}
}

func flight(age time.Duration) projection.Flight {
	return projection.Flight{Action: fleet.Action{Type: fleet.EnrollNode, ID: "a"}, Sequence: 3, At: at.Add(-age)}
}

func TestChecks(t *testing.T) {
	for does, c := range map[string]struct {
		change func(*Facts)
		check  string
		state  State
		text   string
	}{
		"a server of today answers":                  {func(*Facts) {}, "connection", OK, "version 2.15.2, answers within 1ms"},
		"a server that is too old is a failure":      {func(f *Facts) { f.Connection.Version = "2.14.9" }, "connection", Fail, "2.14.9, below 2.15"},
		"a candidate of the oldest is still too old": {func(f *Facts) { f.Connection.Version = "2.15.0-RC.1" }, "connection", Fail, "2.15.0-RC.1"},
		"a server that is much newer is well":        {func(f *Facts) { f.Connection.Version = "2.100.0" }, "connection", OK, ""},
		"a version that is none is a warning":        {func(f *Facts) { f.Connection.Version = "dev" }, "connection", Warn, `"dev"`},
		"without a connection that is the failure":   {func(f *Facts) { f.Connection.Err = errors.New("connect to nats: refused") }, "connection", Fail, "Connect to nats: refused."},
		"without a connection the rest is unknown":   {func(f *Facts) { f.Connection.Err = errors.New("refused") }, "gap", Unknown, "no connection"},
		"a monitoring page answers without a bus":    {func(f *Facts) { f.Connection.Err, f.Streams = errors.New("refused"), nil }, "durability", OK, "Server s1 syncs"},
		"three streams are set as they must be":      {func(*Facts) {}, "streams", OK, "3 streams"},
		"a stream that is set otherwise is a failure": {func(f *Facts) {
			f.Streams[0].Wrong = []eventlog.Mismatch{{Stream: "FLEET", Setting: "max_age", Have: "1h", Want: "0s"}}
		}, "streams", Fail, "max_age of FLEET is 1h, must be 0s"},
		"a stream that is missing is a failure":                   {func(f *Facts) { f.Streams[1].Missing = true }, "streams", Fail, "1 stream is missing: FLEET_INGEST."},
		"a stream that does not answer is a failure":              {func(f *Facts) { f.Streams[2].Err = errors.New("timeout") }, "streams", Fail, "FLEET_PRESENCE (timeout)"},
		"who may not ask of streams does not know their settings": {notAllowed, "streams", Unknown, "were not asked for"},
		"who may not ask of the object store does not know":       {notAllowed, "object-store", Unknown, "FLEET_INVENTORIES were not asked for"},
		"who may not ask of streams does not know their replicas": {notAllowed, "replicas", Unknown, "No stream"},
		"who may not ask of the log has read it":                  {notAllowed, "gap", OK, "1 to 9 were read"},
		"who may not ask of the log and has not read it":          {func(f *Facts) { notAllowed(f); f.Fold.Err = errors.New("late") }, "gap", Unknown, "Nobody said"},
		"who may not ask of the log folds it":                     {notAllowed, "fold", OK, "up to sequence 9"},
		"without a log nothing is said of its fold":               {func(f *Facts) { f.Streams[0].Missing = true }, "fold", Unknown, "no log"},
		"the object store is there":                               {func(*Facts) {}, "object-store", OK, "FLEET_INVENTORIES"},
		"no object store is a failure":                            {func(f *Facts) { f.Streams[3].Missing = true }, "object-store", Fail, "no inventory can be read"},
		"texts that would expire are a failure": {func(f *Facts) {
			f.Streams[3].Wrong = []eventlog.Mismatch{{Stream: "X", Setting: "max_age", Have: "1h", Want: "0s"}}
		}, "object-store", Fail, "max_age of X"},
		"an object store that is silent is a failure": {func(f *Facts) { f.Streams[3].Err = errors.New("timeout") }, "object-store", Fail, "timeout"},

		"no snapshot is no fault": {func(*Facts) {}, "snapshots", OK, "every start folds the whole log"},
		"snapshots that the log folds to are well": {func(f *Facts) {
			f.Snapshots.Verdicts = []snapshot.Verdict{{Stored: eventlog.StoredSnapshot{Name: "b", Sequence: f.Fold.Last - 1}}, {}}
		}, "snapshots", OK, "2 snapshots folded again and found right; the newest is at sequence"},
		"a damaged snapshot is a warning": {func(f *Facts) {
			f.Snapshots.Verdicts = []snapshot.Verdict{{}, {Stored: eventlog.StoredSnapshot{Name: "a"}, Reason: snapshot.Damaged, Err: errors.New("hash")}}
		}, "snapshots", Warn, "1 snapshot of 2 cannot be used: a (hash)."},
		"a snapshot that lies is a failure": {func(f *Facts) {
			f.Snapshots.Verdicts = []snapshot.Verdict{{Stored: eventlog.StoredSnapshot{Name: "a"}, Reason: snapshot.Differs, Err: errors.New("x")}}
		}, "snapshots", Fail, "Snapshot a is not what the log folds to"},
		"snapshots that cannot be read are unknown": {func(f *Facts) { f.Snapshots.Err = errors.New("timeout") }, "snapshots", Unknown, "Timeout."},

		"a lone server keeps one copy":          {func(*Facts) {}, "replicas", OK, "lone server"},
		"three replicas that keep up":           {clustered, "replicas", OK, "3 replicas"},
		"one replica in a cluster is a warning": {func(f *Facts) { clustered(f); f.Streams[3].Replicas, f.Streams[3].Followers = 1, nil }, "replicas", Warn, "OBJ_FLEET_INVENTORIES has 1, not 3"},
		"a replica that is away is named": {func(f *Facts) {
			clustered(f)
			f.Streams[0].Followers[1] = eventlog.Follower{Name: "s3", Offline: true, Silent: time.Minute}
		}, "replicas", Warn, "Server s3 does not keep up with FLEET: offline, 0 operations behind, last heard 1m0s ago."},
		"a replica that lags is named": {func(f *Facts) { clustered(f); f.Streams[0].Followers[0] = eventlog.Follower{Name: "s2", Lag: 7} }, "replicas", Warn, "Server s2 does not keep up with FLEET: 7 operations behind"},
		"a server is named once for all its streams": {func(f *Facts) {
			clustered(f)
			for i := range f.Streams {
				f.Streams[i].Followers[1] = eventlog.Follower{Name: "s3", Lag: uint64(i), Silent: time.Second}
			}
		}, "replicas", Warn, "Server s3 does not keep up with FLEET, FLEET_INGEST, FLEET_PRESENCE and OBJ_FLEET_INVENTORIES: 3 operations behind, last heard 1s ago."},
		"streams that are missing have none": {func(f *Facts) {
			for i := range f.Streams {
				f.Streams[i].Missing = true
			}
		}, "replicas", Unknown, ""},
		"a server that syncs always is well": {func(*Facts) {}, "durability", OK, "Server s1 syncs every message"},
		"all servers of a cluster sync":      {clustered, "durability", OK, "Servers s1, s2 and s3 sync"},
		"one server that syncs now and then is named": {func(f *Facts) {
			clustered(f)
			f.Servers.Heard[1].SyncAlways, f.Servers.Heard[1].SyncInterval = false, 2*time.Minute
		}, "durability", Warn, "server s2 syncs every 2m0s"},
		"a server that was heard twice is named once": {func(f *Facts) {
			f.Servers.Heard = slices.Repeat([]eventlog.ServerHealth{{Name: "s1", JetStream: true, SyncInterval: time.Minute}}, 2)
		}, "durability", Warn, "acknowledged: server s1 syncs every 1m0s."},
		"a log with one replica in a cluster is weak": {func(f *Facts) { clustered(f); f.Streams[0].Replicas, f.Streams[0].Followers = 1, nil }, "durability", Warn, "1 replica in cluster c"},
		"nobody was asked":                            {func(f *Facts) { f.Servers = eventlog.Servers{} }, "durability", Unknown, "No server said"},
		"a page that is silent":                       {func(f *Facts) { f.Servers = eventlog.Servers{Asked: 1, Silent: []error{errors.New("refused")}} }, "durability", Unknown, "1 of 1 monitoring page did not answer: refused"},
		"a silent page whose server was heard anyway": {func(f *Facts) { f.Servers.Asked, f.Servers.Silent = 2, []error{errors.New("refused")} }, "durability", OK, ""},
		"a page of another server":                    {func(f *Facts) { f.Servers.Heard[0].Name = "other" }, "durability", Unknown, "kept by server s1"},
		"two of three servers are not enough":         {func(f *Facts) { clustered(f); f.Servers.Heard = f.Servers.Heard[:2] }, "durability", Unknown, "kept by server s3"},
		"a server without streams says nothing":       {func(f *Facts) { f.Servers.Heard[0].JetStream = false }, "durability", Unknown, "kept by server s1"},
		"nor does it when the log is not known":       {func(f *Facts) { f.Streams, f.Servers.Heard[0].JetStream = nil, false }, "durability", Unknown, "keep no streams"},

		"a log without a gap":           {func(*Facts) {}, "gap", OK, "1 to 9"},
		"an empty log has none":         {func(f *Facts) { s := &f.Streams[0]; s.First, s.Last, s.Messages = 0, 0, 0 }, "gap", OK, "empty"},
		"a message that was taken out":  {func(f *Facts) { f.Streams[0].Messages, f.Streams[0].Deleted = 8, 1 }, "gap", Fail, "8 messages up to sequence 9, 1 missing"},
		"the last message taken out":    {func(f *Facts) { f.Streams[0].Messages = 8 }, "gap", Fail, "1 missing"},
		"a log whose beginning is lost": {func(f *Facts) { f.Streams[0].First, f.Streams[0].Messages = 4, 6 }, "gap", Fail, "begins at sequence 4"},
		"no limits":                     {func(*Facts) {}, "limits", OK, "no limits"},
		"much room": {func(f *Facts) {
			f.Limits.Account = []eventlog.Limit{{What: "storage of the account", Used: 1 << 20, Max: 1 << 30, Unit: "bytes"}}
		}, "limits", OK, "0 %, 1.0 MiB of 1.0 GiB"},
		"the fullest counts": {func(f *Facts) {
			f.Limits.Account = []eventlog.Limit{{What: "x", Used: 1, Max: 9}, {What: "streams", Used: 8, Max: 10}, {What: "y", Used: 1, Max: 2}}
		}, "limits", Warn, "streams: 80 %, 8 of 10"},
		"a server that is nearly full is a failure": {func(f *Facts) {
			f.Servers.Heard[0].Limits = []eventlog.Limit{{What: "storage of server s1", Used: 95, Max: 100, Unit: "bytes"}}
		}, "limits", Fail, "95 %, 95 B of 100 B"},
		"limits that may not be asked": {func(f *Facts) { f.Limits.Err = errors.New("not allowed") }, "limits", Unknown, "Not allowed."},

		"clocks that agree":                       {func(*Facts) {}, "clock", OK, "2ms ahead of ours"},
		"a second apart is a warning":             {func(f *Facts) { f.Clock.Skew = -1500 * time.Millisecond }, "clock", Warn, "1.5s behind ours"},
		"a slow answer is no skew":                {func(f *Facts) { f.Clock.Skew, f.Clock.Within = 3*time.Second, 2500*time.Millisecond }, "clock", OK, "give or take 2.5s"},
		"more than half a lease is a failure":     {func(f *Facts) { f.Clock.Skew = 8 * time.Second }, "clock", Fail, "8s"},
		"with long leases ten seconds are":        {func(f *Facts) { f.Leases.Running["a"], f.Clock.Skew = time.Hour, 11*time.Second }, "clock", Fail, "11s"},
		"with long leases eight are a warning":    {func(f *Facts) { f.Leases.Running["a"], f.Clock.Skew = time.Hour, 8*time.Second }, "clock", Warn, "8s"},
		"with a lease of a second 600 ms are bad": {func(f *Facts) { f.Leases.Running["a"], f.Clock.Skew = time.Second, 600*time.Millisecond }, "clock", Fail, "600ms"},
		"a clock that cannot be asked":            {func(f *Facts) { f.Clock.Err = errors.New("timeout") }, "clock", Unknown, "Timeout."},

		"a fold that is caught up":         {func(*Facts) {}, "fold", OK, "sequence 9 in 1ms, 0 records behind"},
		"a few records come while we look": {func(f *Facts) { f.Fold.Last = 20 }, "fold", OK, "11 records behind"},
		"a fold that cannot keep up":       {func(f *Facts) { f.Fold.Last = 500 }, "fold", Warn, "491 records behind sequence 500"},
		"a fold that met a gap":            {func(f *Facts) { f.Fold.Err = fmt.Errorf("%w: sequence 4 is missing", eventlog.ErrGap) }, "fold", Fail, "log has a gap: sequence 4"},
		"a fold that had no time":          {func(f *Facts) { f.Fold.Sequence, f.Fold.Err = 4, errors.New("time is up") }, "fold", Fail, "behind sequence 4: time is up"},
		"all messages are events":          {func(*Facts) {}, "unfit", OK, ""},
		"one message is none":              {func(f *Facts) { f.Fold.Unfit, f.Fold.Newest = 1, []Unfit{{7, "fleet.events.x", errors.New("no type")}} }, "unfit", Warn, "1 message of the log is no event, the newest at sequence 7 on fleet.events.x (no type)"},
		"unfit messages of a log with a gap": {func(f *Facts) {
			f.Fold.Err = errors.New("gap")
			f.Fold.Unfit, f.Fold.Newest = 1, []Unfit{{7, "s", errors.New("no type")}}
		}, "unfit", Warn, "sequence 7"},
		"a log that was not read": {func(f *Facts) { f.Fold.Err = errors.New("gap") }, "unfit", Unknown, ""},

		"a present node has a lease":                {func(*Facts) {}, "presence", OK, "1 node present"},
		"a lease ended a moment ago":                {func(f *Facts) { ended(f, 3*time.Second) }, "presence", OK, ""},
		"a lease ended, and nobody took note":       {func(f *Facts) { ended(f, 30*time.Second) }, "presence", Warn, "1 node of 1 that the log calls present has no lease: a (30s)"},
		"a node nobody remembers":                   {func(f *Facts) { f.Leases.Running = nil }, "presence", Warn, "a (1h0m0s)"},
		"leases that were lost a moment ago":        {func(f *Facts) { f.Leases.Running, f.Leases.Since = nil, at.Add(-20*time.Second) }, "presence", OK, ""},
		"leases that were lost longer than a lease": {func(f *Facts) { f.Leases.Running, f.Leases.Since = nil, at.Add(-30*time.Second) }, "presence", Warn, "a (30s)"},
		"leases that cannot be read":                {func(f *Facts) { f.Leases.Err = errors.New("there is no stream X") }, "presence", Unknown, "There is no stream X."},

		"an executor waits":                     {func(*Facts) {}, "executors", OK, "1 request at the server"},
		"two executors wait":                    {func(f *Facts) { f.Actions.Waiting = 2 }, "executors", OK, "2 requests at the server"},
		"nobody waits":                          {func(f *Facts) { f.Actions.Waiting, f.Actions.Pending = 0, 3 }, "executors", Warn, "3 not handed out"},
		"nobody waits, because all are at work": {func(f *Facts) { f.Actions.Waiting, f.Actions.Unacknowledged = 0, 16 }, "executors", OK, "all 16"},
		"nobody has ever waited":                {func(f *Facts) { f.Actions.ActionsHealth = eventlog.ActionsHealth{Consumer: "executor", Missing: true} }, "executors", Warn, "ever"},
		"then there is no consumer":             {func(f *Facts) { f.Actions.ActionsHealth = eventlog.ActionsHealth{Consumer: "executor", Missing: true} }, "consumer", Unknown, "no consumer executor"},
		"a consumer without work":               {func(*Facts) {}, "consumer", OK, "0 actions not handed out"},
		"an action that is at work":             {func(f *Facts) { out(f, time.Second) }, "consumer", OK, "the oldest is at sequence 5, 1s old"},
		"an action that is at work for long":    {func(f *Facts) { out(f, time.Hour) }, "consumer", Warn, "1h0m0s old"},
		"an action that was handed out again":   {func(f *Facts) { out(f, time.Second); f.Actions.Redelivered = 1 }, "consumer", Warn, "1 of these more than once"},
		"a consumer that gives up after a while": {func(f *Facts) {
			f.Actions.Wrong = []eventlog.Mismatch{{Stream: "executor", Setting: "max_deliver", Have: "3", Want: "-1"}}
		}, "consumer", Fail, "max_deliver of executor is 3"},
		"a consumer that is paused":               {func(f *Facts) { f.Actions.Paused = true }, "consumer", Warn, "paused"},
		"a consumer that cannot be asked":         {func(f *Facts) { f.Actions.Err = errors.New("timeout") }, "consumer", Unknown, "Timeout."},
		"executors that cannot be asked for":      {func(f *Facts) { f.Actions.Err = errors.New("timeout") }, "executors", Unknown, "Timeout."},
		"no plan yet":                             {func(f *Facts) { f.Fold.Plan = nil }, "plan", OK, "No plan"},
		"the newest plan":                         {func(*Facts) {}, "plan", OK, "sequence 2, 1m0s old, with 1 action; 0 in flight"},
		"an action in flight":                     {func(f *Facts) { f.Fold.Flights = []projection.Flight{flight(time.Minute)} }, "plan", OK, "1 in flight"},
		"an action that is overdue is named":      {func(f *Facts) { f.Fold.Flights = []projection.Flight{flight(time.Hour), flight(time.Second)} }, "plan", Warn, "2 in flight, 1 of them longer than 2m0s: EnrollNode a at sequence 3 (1h0m0s)"},
		"a plan on a log that could not be read":  {func(f *Facts) { f.Fold.Err = errors.New("gap") }, "plan", Unknown, ""},
		"presence on a log that could not be too": {func(f *Facts) { f.Fold.Err = errors.New("gap") }, "presence", Unknown, ""},
	} {
		t.Run(does, func(t *testing.T) {
			f := well()
			c.change(&f)
			got := named(t, Examine(f), c.check)
			if got.State != c.state || !strings.Contains(got.Text, c.text) {
				t.Errorf("got %s: %s\nwant %s with %q", got.State, got.Text, c.state, c.text)
			}
			if (got.State == Warn || got.State == Fail) && got.Next == "" && got.Check != "connection" {
				t.Error("it does not say what to do")
			}
			if !strings.HasSuffix(got.Text, ".") {
				t.Errorf("%q is no sentence", got.Text)
			}
		})
	}
}

func ended(f *Facts, ago time.Duration) {
	f.Leases.Running, f.Leases.Ended = nil, map[fleet.NodeID]time.Time{"a": at.Add(-ago)}
}

func out(f *Facts, age time.Duration) {
	f.Actions.Unacknowledged, f.Actions.Oldest, f.Actions.OldestTime = 1, 5, at.Add(-age)
}

func named(t *testing.T, findings []Finding, name string) Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == name })
	if i < 0 {
		t.Fatalf("no check %q", name)
	}
	return findings[i]
}

// Programs rely on the names and on all of them being there.
func TestEveryCheckIsAlwaysReported(t *testing.T) {
	want := []string{
		"connection", "streams", "object-store", "replicas", "durability", "gap", "limits",
		"clock", "fold", "snapshots", "unfit", "presence", "executors", "consumer", "plan",
	}
	for does, f := range map[string]Facts{"a fleet that is well": well(), "nothing at all": {Connection: Connection{Err: errors.New("refused")}}} {
		var got []string
		for _, found := range Examine(f) {
			got = append(got, found.Check)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: checks %q", does, got)
		}
	}
}

func TestTheWorstStateCounts(t *testing.T) {
	for does, c := range map[string]struct {
		states []State
		want   State
	}{
		"nothing found is well":        {nil, OK},
		"all well":                     {[]State{OK, OK}, OK},
		"not to know is worse":         {[]State{OK, Unknown, OK}, Unknown},
		"a warning is worse":           {[]State{Warn, Unknown, OK}, Warn},
		"a failure is worst, anywhere": {[]State{OK, Fail, Warn, Unknown}, Fail},
	} {
		var findings []Finding
		for _, s := range c.states {
			findings = append(findings, Finding{State: s})
		}
		if got := Worst(findings); got != c.want {
			t.Errorf("%s: %s, want %s", does, got, c.want)
		}
	}
	if found := Examine(well()); Worst(found) != OK {
		t.Errorf("a fleet that is well: %+v", found)
	}
}
