package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// MinServer is the oldest server whose behaviour the promises were checked on.
const MinServer = "2.15"

func connection(f *Facts) Finding {
	c := f.Connection
	switch {
	case c.Err != nil:
		return fail(sentence(c.Err), c.Hint)
	case !semver.IsValid("v" + c.Version):
		return warn(fmt.Sprintf("Server at %s says its version is %q, and %s is wanted.", c.URL, c.Version, MinServer), "")
	case semver.Compare("v"+c.Version, "v"+MinServer) < 0:
		return fail(fmt.Sprintf("Server at %s is version %s, below %s.", c.URL, c.Version, MinServer), "update the server: older ones lack what the log's conditions and leases rest on")
	}
	return ok("Server at %s, version %s, answers within %s.", c.URL, c.Version, short(c.RTT))
}

func streams(f *Facts) Finding {
	var good int
	var missing, wrong, silent []string
	for _, s := range f.Streams {
		switch {
		case s.Role == eventlog.RoleInventories:
		case errors.Is(s.Err, eventlog.ErrNotAllowed):
			return unknown("The settings of the streams were not asked for: "+s.Err.Error()+".", nextIdentity)
		case s.Err != nil:
			silent = append(silent, fmt.Sprintf("%s (%v)", s.Name, s.Err))
		case s.Missing:
			missing = append(missing, s.Name)
		case len(s.Wrong) > 0:
			wrong = append(wrong, mismatches(s.Wrong)...)
		default:
			good++
		}
	}
	switch {
	case len(silent) > 0:
		return fail("Cannot ask for stream "+list(silent)+".", "see that the servers that keep it run and that these credentials may use JetStream")
	case len(wrong) > 0:
		return fail("Streams are set otherwise than promised: "+list(wrong)+".", "change them with \"nats stream edit\"; find out who changed them")
	case len(missing) > 0:
		return fail(fmt.Sprintf("%s missing: %s.", verb(len(missing), count(1, "stream")+" is", count(len(missing), "stream")+" are"), list(missing)), "is it the right server and --prefix? 'planner' or 'fleetfold up' makes the streams")
	}
	return ok("%s exist and are set as they must be.", count(good, "stream"))
}

func mismatches(all []eventlog.Mismatch) (texts []string) {
	for _, m := range all {
		texts = append(texts, fmt.Sprintf("%s of %s is %s, must be %s", m.Setting, m.Stream, m.Have, m.Want))
	}
	return texts
}

func objectStore(f *Facts) Finding {
	s, _ := f.stream(eventlog.RoleInventories)
	switch {
	case errors.Is(s.Err, eventlog.ErrNotAllowed):
		return unknown(fmt.Sprintf("The settings of object store %s were not asked for: %v.", s.Name, s.Err), nextIdentity)
	case s.Err != nil:
		return fail(fmt.Sprintf("Cannot ask for object store %s: %v.", s.Name, s.Err), "see that the servers that keep it run")
	case s.Missing:
		return fail("There is no object store "+s.Name+": no inventory can be read.", "'planner' or 'fleetfold up' makes it; if it was there, restore it, or apply the inventory again")
	case len(s.Wrong) > 0:
		return fail("The object store is set otherwise than promised: "+list(mismatches(s.Wrong))+".", "make it anew with these settings, and apply the inventory again")
	}
	return ok("Object store %s exists and is set as it must be.", s.Name)
}

// replicas looks at all streams: leases that are gone make a fleet look lost.
func replicas(f *Facts) Finding {
	var few []string
	known, lone, most := false, true, 0
	for _, s := range f.Streams {
		if s.Err != nil || s.Missing {
			continue
		}
		known, lone, most = true, lone && s.Cluster == "", max(most, s.Replicas)
		if s.Cluster != "" && s.Replicas < clusterReplicas {
			few = append(few, fmt.Sprintf("%s has %d", streamName(s), s.Replicas))
		}
	}
	away := behind(f.Streams)
	switch {
	case !known:
		return unknown("No stream could be asked for its replicas.", "")
	case len(away) > 0:
		return warn(strings.Join(away, "; ")+".", "see to that server; until it is back, the loss of one more can stop the log")
	case len(few) > 0:
		return warn("Fewer replicas than a cluster needs: "+list(few)+fmt.Sprintf(", not %d.", clusterReplicas),
			fmt.Sprintf("raise them with \"nats stream edit STREAM --replicas %d\", and start planners with --replicas %d", clusterReplicas, clusterReplicas))
	case lone:
		return ok("A lone server keeps the one copy there is.")
	}
	return ok("%s of each stream, and all keep up.", count(most, "replica"))
}

// behind says of each server that follows what it does not keep up with.
func behind(streams []eventlog.StreamHealth) (texts []string) {
	late := make(map[string]eventlog.Follower)
	of := make(map[string][]string)
	for _, s := range streams {
		for _, r := range s.Followers {
			if r.Current && !r.Offline {
				continue
			}
			worst := late[r.Name]
			late[r.Name] = eventlog.Follower{
				Offline: worst.Offline || r.Offline, Lag: max(worst.Lag, r.Lag), Silent: max(worst.Silent, r.Silent),
			}
			of[r.Name] = append(of[r.Name], streamName(s))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(late)) {
		r, state := late[name], ""
		if r.Offline {
			state = "offline, "
		}
		texts = append(texts, fmt.Sprintf("server %s does not keep up with %s: %s%s behind, last heard %s ago", name, list(of[name]), state, count(r.Lag, "operation"), short(r.Silent)))
	}
	return texts
}

func gap(f *Facts) Finding {
	s, _ := f.stream(eventlog.RoleLog)
	switch {
	case s.Err != nil && f.Fold.Err == nil && f.Fold.Sequence > 0:
		return ok("Sequences 1 to %d were read, none missing.", f.Fold.Sequence)
	case s.Err != nil:
		return unknown("Nobody said where the log begins and ends.", "")
	case s.Last == 0:
		return ok("The log is empty.")
	case s.First != 1:
		return fail(fmt.Sprintf("The log begins at sequence %d and not at 1: its beginning is lost.", s.First), nextGap)
	case s.Deleted > 0 || s.Messages != s.Last:
		return fail(fmt.Sprintf("The log has a gap: %s up to sequence %d, %d missing.", count(s.Messages, "message"), s.Last, s.Last-s.Messages), nextGap)
	}
	return ok("Sequences 1 to %d, none missing.", s.Last)
}

// nextIdentity is for those who may not ask about streams.
const nextIdentity = "operators and auditors may ask, and planners: name such an identity with --identity, and run \"fleetfold nats config\" again if the server's configuration is older"

const nextGap = "nobody decides on such a log: restore it from a backup, or begin a new one with another --prefix; find out who changed it"

// How full is full.
const (
	nearlyFull = 0.80
	full       = 0.95
)

func limits(f *Facts) Finding {
	if f.Limits.Err != nil {
		return unknown(sentence(f.Limits.Err), "")
	}
	all := slices.Clone(f.Limits.Account)
	for _, s := range f.Servers.Heard {
		all = append(all, s.Limits...)
	}
	if len(all) == 0 {
		return ok("The account has no limits of its own.")
	}
	used := func(l eventlog.Limit) float64 { return float64(l.Used) / float64(l.Max) }
	worst := slices.MaxFunc(all, func(a, b eventlog.Limit) int { return cmp.Compare(used(a), used(b)) })
	text := fmt.Sprintf("The fullest is %s: %.0f %%, %s of %s.", worst.What, 100*used(worst), amount(worst.Used, worst.Unit), amount(worst.Max, worst.Unit))
	const next = "raise the limit, or give the server more room: a log that cannot grow stops the fleet"
	switch {
	case used(worst) >= full:
		return fail(text, next)
	case used(worst) >= nearlyFull:
		return warn(text, next)
	}
	return ok("%s", text)
}

func amount(n uint64, unit string) string {
	if unit == "bytes" {
		return bytes(n)
	}
	return fmt.Sprint(n)
}

// How far clocks may differ.
const (
	skewWarn = time.Second
	skewFail = 10 * time.Second
)

// clock takes nothing for skew that may be the way to the server and back.
func clock(f *Facts) Finding {
	c := f.Clock
	if c.Err != nil {
		return unknown(sentence(c.Err), "")
	}
	text := fmt.Sprintf("The server's clock is %s %s ours, give or take %s.", short(c.Skew.Abs()), aheadOr(c.Skew), short(c.Within))
	const next = "let both machines keep time by NTP: backoff, credentials and leases are judged by it"
	most := skewFail
	for _, lease := range f.Leases.Running {
		most = min(most, lease/2)
	}
	switch sure := c.Skew.Abs() - c.Within; {
	case sure > most:
		return fail(text, next)
	case sure > min(skewWarn, most):
		return warn(text, next)
	}
	return ok("%s", text)
}

func aheadOr(skew time.Duration) string {
	if skew < 0 {
		return "behind"
	}
	return "ahead of"
}
