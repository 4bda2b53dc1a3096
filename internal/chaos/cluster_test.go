//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

const (
	// leader stands in a schedule for whichever server leads the log then.
	leader = "the leader"
	// allServers stands for all of them.
	allServers = "all servers"
)

// serve is the program chaos-server OPTIONS: a server that comes back where it was.
func serve(args []string, ended <-chan os.Signal) error {
	var o natsd.Options
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return err
	}
	o.Logger = zerolog.New(os.Stderr).With().Timestamp().Logger()
	server, err := natsd.Start(o)
	if err != nil {
		return err
	}
	<-ended
	server.Shutdown()
	return nil
}

// startServers starts one server, or a cluster, on ports that stay theirs.
func (f *chaosFleet) startServers(n int) {
	f.t.Helper()
	var routes, urls []string
	var options []natsd.Options
	for i := range n {
		name := fmt.Sprintf("server-%d", i+1)
		if n == 1 {
			name = "server"
		}
		client, route := port.Hold(f.t), port.Hold(f.t)
		o := natsd.Options{Dir: f.file("streams-" + name), Port: client}
		if n > 1 {
			o.Cluster = &natsd.Cluster{Name: "chaos", Server: name, Port: route}
		}
		options, f.servers = append(options, o), append(f.servers, name)
		routes, urls = append(routes, port.At(route)), append(urls, "nats://"+port.At(client))
	}
	f.url = strings.Join(urls, ",")
	for i, o := range options {
		if o.Cluster != nil {
			o.Cluster.Routes = routes
		}
		text, err := json.Marshal(o)
		if err != nil {
			f.t.Fatal(err)
		}
		f.keep(f.servers[i], "chaos-server", string(text)).want(true)
	}
}

// victimsFor are the names behind the name in a schedule.
func (f *chaosFleet) victimsFor(who string) []string {
	switch who {
	case allServers:
		return f.servers
	case leader:
		return []string{f.leader()}
	}
	return []string{who}
}

// leader asks who leads the log. Where nobody knows, the first server stands in.
func (f *chaosFleet) leader() string {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Second)
	defer cancel()
	name, err := f.watcher.Leader(ctx)
	if !slices.Contains(f.servers, name) {
		f.story.tell("nobody knows the leader: %v", errors.Join(err, ctx.Err()))
		return f.servers[0]
	}
	f.story.tell("the leader is %s", name)
	return name
}

// outages is the part of a schedule that concerns the servers of a cluster. It
// begins with the loss of the leader. While one server is away the others stay,
// but for the times when all are killed at once.
func outages(seed uint64, length time.Duration, servers []string) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	at := between(r, time.Second, 2*time.Second)
	steps := []step{{at: at, do: kill, who: leader, pause: between(r, 0, 5*time.Second)}}
	for {
		at += steps[len(steps)-1].pause + between(r, time.Second, 6*time.Second)
		if at >= length {
			return steps
		}
		s := step{at: at, who: servers[r.IntN(len(servers))]}
		if r.IntN(2) == 0 {
			s.who = leader
		}
		switch r.IntN(8) {
		case 0:
			s.do, s.who, s.pause = kill, allServers, between(r, 0, 2*time.Second)
		case 1, 2, 3:
			s.do, s.pause = kill, between(r, 0, 8*time.Second)
		case 4, 5, 6:
			s.do, s.pause = halt, between(r, 100*time.Millisecond, 8*time.Second)
		default:
			s.do = term
		}
		steps = append(steps, s)
	}
}
