package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// clusterReplicas is how many copies of the log a cluster needs to go on
// without one of its servers.
const clusterReplicas = 3

const (
	nextMonitor = "name the monitoring page of each server with --monitor, such as --monitor http://127.0.0.1:8222"
	nextSync    = "set \"sync_interval: always\" in the jetstream block of the server's configuration, and restart it"
)

// Durability says whether what is acknowledged survives: a power cut, by what
// the servers say of themselves, and in a cluster the loss of one server, by
// the replicas of the log. streams are as eventlog.CheckStreams returns them.
func Durability(streams []eventlog.StreamHealth, servers eventlog.Servers) Finding {
	f := Facts{Streams: streams}
	log, _ := f.stream(eventlog.RoleLog)
	var weak []string
	heard := make(map[string]bool)
	for _, s := range servers.Heard {
		if !s.JetStream || heard[s.Name] { // by its page and through the system account
			continue
		}
		heard[s.Name] = true
		if !s.SyncAlways {
			weak = append(weak, fmt.Sprintf("server %s syncs every %s", s.Name, short(s.SyncInterval)))
		}
	}
	switch {
	case len(weak) > 0:
		return warn("A power cut takes back what was acknowledged: "+list(weak)+".", nextSync)
	case log.Cluster != "" && log.Replicas < clusterReplicas:
		return warn(fmt.Sprintf("The log has %s in cluster %s: the loss of one server can stop or end it.", count(log.Replicas, "replica"), log.Cluster), nextReplicas(log))
	}
	if missing := unheard(log, heard); len(heard) == 0 || len(missing) > 0 {
		return notKnown(servers, missing)
	}
	return ok("%s %s every message before it is acknowledged.", capital(serverList(slices.Sorted(maps.Keys(heard)))), verb(len(heard), "syncs", "sync"))
}

func notKnown(servers eventlog.Servers, missing []string) Finding {
	switch {
	case len(servers.Silent) > 0:
		return unknown(fmt.Sprintf("%d of %s did not answer: %v.", len(servers.Silent), count(servers.Asked, "monitoring page"), servers.Silent[0]),
			"see that the server runs and that its monitoring page can be reached from here")
	case len(servers.Heard) == 0:
		return unknown("No server said how it writes to disk: JetStream does not tell.", nextMonitor)
	case len(missing) == 0:
		return unknown("The servers that were asked keep no streams.", nextMonitor)
	}
	return unknown("The log is kept by "+serverList(missing)+", and nobody said how that writes to disk.", nextMonitor)
}

// unheard are the servers that keep the log and were not heard.
func unheard(log eventlog.StreamHealth, heard map[string]bool) (missing []string) {
	for _, name := range keepers(log) {
		if !heard[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// keepers are the names of the servers that keep a stream.
func keepers(s eventlog.StreamHealth) (all []string) {
	if s.Leader != "" {
		all = append(all, s.Leader)
	}
	for _, f := range s.Followers {
		all = append(all, f.Name)
	}
	slices.Sort(all)
	return all
}

func nextReplicas(s eventlog.StreamHealth) string {
	return fmt.Sprintf("nats stream edit %s --replicas %d, and start planners with --replicas %d", streamName(s), clusterReplicas, clusterReplicas)
}

// streamName is what the nats command calls the stream of an object store.
func streamName(s eventlog.StreamHealth) string {
	if s.Role == eventlog.RoleInventories {
		return "OBJ_" + s.Name
	}
	return s.Name
}

func serverList(all []string) string { return verb(len(all), "server ", "servers ") + list(all) }

// list shows a few, and counts the rest.
func list(all []string) string {
	const shown = 5
	if len(all) > shown {
		all = append(all[:shown:shown], fmt.Sprintf("%d more", len(all)-shown))
	}
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
	return strings.Join(all, "")
}
